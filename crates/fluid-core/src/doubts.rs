//! What was asked of a server and never answered: whoever asks for it again must not do it twice, nor hear that somebody
//! else did.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// With more doubts than this all are dropped: nobody came back for them.
const MOST: usize = 100_000;

/// Questions to a server that have no answer, and what is known of each: for brokers whose calls go over a network, where
/// a call may be carried out and its answer be lost. With more than 100,000 of them all are forgotten: nobody came back.
#[derive(Debug)]
pub struct Doubts<K, V>(Arc<Mutex<HashMap<K, V>>>);

impl<K, V> Default for Doubts<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash, V: Clone> Doubts<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a question that was asked before and not answered.
    pub fn of(&self, question: &K) -> Option<V> {
        self.lock().get(question).cloned()
    }

    /// Whether one of these was asked before and not answered.
    pub fn have_one_of<'a>(&self, mut questions: impl Iterator<Item = &'a K>) -> bool
    where
        K: 'a,
    {
        let doubts = self.lock();
        !doubts.is_empty() && questions.any(|question| doubts.contains_key(question))
    }

    /// Asks: until it is [answered](Asked::answered), what is asked is in doubt once this is dropped.
    pub fn ask(&self, questions: Vec<(K, V)>) -> Asked<'_, K, V> {
        Asked {
            doubts: self,
            questions,
        }
    }
}

/// Questions that wait for their answers.
#[derive(Debug)]
pub struct Asked<'a, K: Eq + Hash, V: Clone> {
    doubts: &'a Doubts<K, V>,
    questions: Vec<(K, V)>,
}

impl<K: Eq + Hash, V: Clone> Asked<'_, K, V> {
    /// The answers are there.
    pub fn answered(mut self) {
        let questions = std::mem::take(&mut self.questions);
        let mut doubts = self.doubts.lock();
        if !doubts.is_empty() {
            for (question, _) in &questions {
                doubts.remove(question);
            }
        }
    }
}

impl<K: Eq + Hash, V: Clone> Drop for Asked<'_, K, V> {
    fn drop(&mut self) {
        if self.questions.is_empty() {
            return;
        }
        let mut doubts = self.doubts.lock();
        if doubts.len() > MOST {
            doubts.clear();
        }
        doubts.extend(self.questions.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::Doubts;

    #[test]
    fn what_was_dropped_without_an_answer_is_in_doubt_until_it_is_answered() {
        let doubts = Doubts::default();
        drop(doubts.ask(vec![("a", 1), ("b", 2)]));
        assert_eq!((doubts.of(&"a"), doubts.of(&"c")), (Some(1), None));
        doubts.ask(vec![("a", 1)]).answered();
        assert_eq!((doubts.of(&"a"), doubts.of(&"b")), (None, Some(2)));
    }
}
