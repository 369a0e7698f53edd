//! Tokens, as a file lists them.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Role;

/// The shortest token that is taken: 16 letters and digits can't be guessed.
const SHORTEST: usize = 16;
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The tokens of a file, one a line: a name, `read` or `full`, and the token, apart by spaces. Empty lines and those
/// that begin with `#` say nothing.
///
/// The file is read again when it has changed, at most once a second. While it is faulty or gone what it said last
/// holds, and an error is logged. Tokens are kept hashed. Cloning is cheap.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    tokens: Arc<[Token]>,
    stamp: Option<Stamp>,
    looked: Instant,
}

/// One token.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) role: Role,
    hash: [u8; 32],
}

/// A file's state, as far as it tells whether it was changed: a Secret of Kubernetes is another file each time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// Why a file of tokens can't be used. Nothing of what stands in it is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// It can't be read.
    #[error("the file of tokens {path:?} can't be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of it is wrong.
    #[error("line {line} of the file of tokens {path:?} {fault}")]
    Faulty {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Nobody could come in.
    #[error(
        "there is no token in {path:?}; a line has a name, `read` or `full`, and the token, apart by spaces"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Tokens {
    /// Reads a file. One that everybody on the machine may read is taken, and warned of in the log.
    ///
    /// # Errors
    /// When it can't be read, has a fault, or no token.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, TokensError> {
        let path = path.into();
        let (tokens, stamp) = read(&path)?;
        let state = Mutex::new(State {
            tokens,
            stamp: Some(stamp),
            looked: Instant::now(),
        });
        Ok(Self(Arc::new(Inner { path, state })))
    }

    /// Those of now.
    pub(crate) fn current(&self) -> Arc<[Token]> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            // A small file, at most once a second: not worth a thread.
            let metadata = std::fs::metadata(&self.0.path);
            let stamp = metadata.ok().as_ref().map(Stamp::of);
            if stamp != state.stamp {
                state.stamp = stamp;
                match read(&self.0.path) {
                    Ok((tokens, _)) => {
                        tracing::info!(tokens = tokens.len(), "the file of tokens was read again");
                        state.tokens = tokens;
                    }
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "the tokens of before stay in force"
                        );
                    }
                }
            }
        }
        state.tokens.clone()
    }

    /// Whose token this is. Takes as long for every token.
    pub(crate) fn find(&self, token: &str) -> Option<(Arc<[Token]>, usize)> {
        let tokens = self.current();
        let hash: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for (index, known) in tokens.iter().enumerate() {
            if bool::from(known.hash.ct_eq(&hash)) {
                found = Some(index);
            }
        }
        found.map(|index| (tokens, index))
    }
}

impl Token {
    /// What signs the sessions of those who came in with it.
    pub(crate) fn key(&self) -> &[u8] {
        &self.hash
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokens").field(&self.0.path).finish()
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }
    }
}

fn read(path: &Path) -> Result<(Arc<[Token]>, Stamp), TokensError> {
    let unreadable = |source| TokensError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.mode() & 0o004 != 0 {
        tracing::warn!(
            file = %path.display(),
            "everybody on this machine may read the tokens; chmod o-r, or defaultMode of the Secret, mends it"
        );
    }
    let stamp = Stamp::of(&metadata);
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok((parse(&text, path)?, stamp))
}

fn parse(text: &str, path: &Path) -> Result<Arc<[Token]>, TokensError> {
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let token = one(line).and_then(|token| among(&tokens, token));
        let token = token.map_err(|fault| TokensError::Faulty {
            path: path.to_owned(),
            line: index + 1,
            fault,
        })?;
        tokens.push(token);
    }
    if tokens.is_empty() {
        return Err(TokensError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(tokens.into())
}

fn one(line: &str) -> Result<Token, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(role), Some(token), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("has not three words: a name, `read` or `full`, and the token");
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
    if name.len() > 100 || !name.chars().all(plain) {
        return Err(
            "begins with something else than a name: up to 100 letters, digits, `_`, `-`, `.` or `@`",
        );
    }
    let Ok(role) = role.parse() else {
        return Err("has something else than `read` or `full` as its second word");
    };
    if token.len() < SHORTEST {
        return Err("has a token of less than 16 characters, which could be guessed");
    }
    Ok(Token {
        name: name.to_owned(),
        role,
        hash: Sha256::digest(token).into(),
    })
}

fn among(others: &[Token], token: Token) -> Result<Token, &'static str> {
    if others.iter().any(|other| other.name == token.name) {
        return Err("has the name of an earlier line");
    }
    if others.iter().any(|other| other.hash == token.hash) {
        return Err("has the token of an earlier line");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let error = parse(text, Path::new("tokens")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_line_is_a_name_a_role_and_a_token() {
        let tokens = parse(
            "# people\n\nada full 0123456789abcdef\r\n grafana  read fedcba9876543210\n",
            Path::new("f"),
        )
        .unwrap();
        let told: Vec<_> = tokens.iter().map(|t| (t.name.as_str(), t.role)).collect();
        assert_eq!(told, [("ada", Role::Full), ("grafana", Role::Read)]);
        assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_fault_names_its_line_and_nothing_that_stands_there() {
        let secret = "s3cr3t-s3cr3t-s3cr3t";
        for text in [
            format!("# one\n{secret}"),
            format!("\nada {secret}"),
            format!("\nada {secret} full"),
            format!("\n/{secret} full 0123456789abcdef"),
            "\nada full s3cr3t".to_owned(),
            format!("ada full {secret}\nbob full {secret}"),
            format!("ada full {secret}\nada full {secret}-2"),
        ] {
            let told = faults(&text);
            assert!(
                told.starts_with("line 2 of the file of tokens \"tokens\" "),
                "{told}"
            );
            assert!(!told.contains("s3cr3t"), "{told}");
        }
        assert!(faults("# nobody\n").starts_with("there is no token in \"tokens\""));
    }
}
