//! What is written to running attempts: their leases, their news, their ends, the wish to cancel them.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use fluid_core::{
    BrokerResult, Cancelled, ErrorKind, Finish, Finished, JsonText, LeaseRef, LeaseStatus, Report,
    RunError, RunId,
};
use redis::{Cmd, Value};

use crate::answer;
use crate::broker::RedisBroker;
use crate::fault::{Fault, Outcome};
use crate::link::Lasts;
use crate::record::state;
use crate::request::micros;
use crate::script;
use crate::text::escape;

/// How many attempts one script ends, and how many leases it extends.
const AT_ONCE: usize = 1000;

fn token(lease: LeaseRef) -> String {
    format!("{:019}", lease.token.as_i64())
}

pub(crate) fn error_text(error: &RunError) -> Outcome<String> {
    serde_json::to_string(error)
        .map_err(|cause| Fault::Options(format!("an error has no JSON form ({cause})")))
}

/// How an attempt ends.
struct End<'a> {
    kind: &'static str,
    text: Cow<'a, str>,
    instead: String,
    delay: u64,
}

impl<'a> End<'a> {
    fn of(finish: &'a Finish) -> Outcome<Self> {
        let abort = |why: String| error_text(&RunError::new(ErrorKind::Aborted, why));
        let end = |kind, text, instead| Self {
            kind,
            text,
            instead,
            delay: 0,
        };
        Ok(match finish {
            Finish::Success(result) => end("S", JsonText::as_str(result).into(), String::new()),
            Finish::Failure(error) => end("F", error_text(error)?.into(), String::new()),
            Finish::Aborted(error) => end("A", error_text(error)?.into(), String::new()),
            Finish::Retry { after, error } => Self {
                delay: micros(*after),
                ..end(
                    "T",
                    error_text(error)?.into(),
                    abort(format!("cancelled; the attempt had failed: {error}"))?,
                )
            },
            Finish::Released => end(
                "R",
                "".into(),
                abort("cancelled; its consumer stopped".to_owned())?,
            ),
            // `Finish` may grow: what this broker does not know yet ends the attempt as a failure.
            unknown => {
                let error = RunError::new(
                    ErrorKind::Error,
                    format!("the Redis broker does not know the end {unknown:?}"),
                );
                end("F", error_text(&error)?.into(), String::new())
            }
        })
    }
}

/// How many of a claim's tokens there are, one behind the other.
const TOKENS: i64 = 1000;

/// Attempts that follow each other and end in one way, in ranges of those that end alike. A range is a letter, the token
/// of its first attempt and the ids of all; their tokens follow each other. With it goes the result or error.
struct Section<'a> {
    end: End<'a>,
    ranges: Vec<(String, Cow<'a, str>)>,
}

/// `in_doubt` tells of those that an earlier call, which nobody answered, may have ended.
fn sections<'a>(
    batch: &'a [(LeaseRef, Finish)],
    in_doubt: impl Fn(&LeaseRef) -> bool,
) -> Outcome<Vec<Section<'a>>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    let mut last: Option<(i64, char)> = None;
    for (place, (lease, finish)) in batch.iter().enumerate() {
        let before = (place > 0).then(|| &batch[place - 1].1);
        let alike = before == Some(finish);
        let both_succeed = matches!(
            (before, finish),
            (Some(Finish::Success(_)), Finish::Success(_))
        );
        let letter = if in_doubt(lease) { 'R' } else { 'r' };
        let number = lease.token.as_i64();
        let mut text = None;
        if !alike {
            let mut end = End::of(finish)?;
            text = Some(std::mem::take(&mut end.text));
            if !both_succeed {
                let ranges = Vec::new();
                sections.push(Section { end, ranges });
            }
        }
        let Some(section) = sections.last_mut() else {
            continue;
        };
        let follows = alike && last == Some((number - 1, letter)) && number % TOKENS != 0;
        match section.ranges.last_mut() {
            Some((range, _)) if follows => {
                let _ = write!(range, "{}", lease.run);
            }
            before => {
                let text = text
                    .unwrap_or_else(|| before.map(|(_, text)| text.clone()).unwrap_or_default());
                let range = format!("{letter}{}{}", token(*lease), lease.run);
                section.ranges.push((range, text));
            }
        }
        last = Some((number, letter));
    }
    Ok(sections)
}

fn write_report(command: &mut Cmd, report: &Report) {
    let given = |text: &str| format!("={}", escape(text));
    let progress = report
        .progress
        .as_ref()
        .and_then(|progress| serde_json::to_string(progress).ok());
    command
        .arg(report.lease.run.to_string())
        .arg(token(report.lease))
        .arg(progress.map_or_else(String::new, |json| format!("={json}")))
        .arg(report.execution.as_deref().map_or_else(String::new, given))
        .arg(match &report.waiting {
            None => String::new(),
            Some(None) => "-".to_owned(),
            Some(Some(why)) => given(why),
        });
}

impl RedisBroker {
    pub(crate) async fn extend_all(
        &self,
        leases: &[LeaseRef],
        lease: Duration,
    ) -> BrokerResult<Vec<LeaseStatus>> {
        let mut statuses = Vec::with_capacity(leases.len());
        for some in leases.chunks(AT_ONCE) {
            let answer = self
                .link
                .run(&script::EXTEND, Lasts::No, |command| {
                    command.arg(micros(lease)).arg(some.len());
                    for lease in some {
                        command.arg(lease.run.to_string());
                    }
                    for lease in some {
                        command.arg(token(*lease));
                    }
                })
                .await?;
            let letters = self.read(|| answer::text(answer))?;
            statuses.extend(letters.bytes().map(|letter| match letter {
                b'h' => LeaseStatus::Held,
                b'c' => LeaseStatus::CancelRequested,
                _ => LeaseStatus::Lost,
            }));
        }
        Ok(statuses)
    }

    /// Reports go with the first ends.
    pub(crate) async fn end_all(
        &self,
        reports: &[Report],
        batch: &[(LeaseRef, Finish)],
    ) -> BrokerResult<Vec<Finished>> {
        let mut finished = Vec::with_capacity(batch.len());
        let mut reports = reports;
        // What is too much for one script is told before.
        while reports.len() > AT_ONCE {
            let (first, rest) = reports.split_at(AT_ONCE);
            self.end_some(first, &[]).await?;
            reports = rest;
        }
        if batch.is_empty() && !reports.is_empty() {
            self.end_some(reports, &[]).await?;
        }
        for some in batch.chunks(AT_ONCE) {
            finished.extend(self.end_some(std::mem::take(&mut reports), some).await?);
        }
        Ok(finished)
    }

    async fn end_some(
        &self,
        reports: &[Report],
        batch: &[(LeaseRef, Finish)],
    ) -> BrokerResult<Vec<Finished>> {
        let sections = self.read(|| sections(batch, |lease| self.ends.of(lease).is_some()))?;
        let asked = self
            .ends
            .ask(batch.iter().map(|(lease, _)| (*lease, ())).collect());
        let answer = self
            .link
            .run(&script::END, Lasts::Yes, |command| {
                command.arg(reports.len());
                for report in reports {
                    write_report(command, report);
                }
                command.arg(batch.len());
                for Section { end, ranges } in &sections {
                    command
                        .arg(end.kind)
                        .arg(&end.instead)
                        .arg(end.delay)
                        .arg(ranges.len());
                    for (range, text) in ranges {
                        command.arg(range).arg(text.as_ref());
                    }
                }
            })
            .await?;
        let (finished, said) = self.read(|| read_finished(answer))?;
        asked.answered();
        self.tell(&said);
        Ok(finished)
    }

    pub(crate) async fn cancel_one(&self, run: RunId) -> BrokerResult<Cancelled> {
        let why = |when: &str| {
            error_text(&RunError::new(
                ErrorKind::Aborted,
                format!("cancelled before {when}"),
            ))
        };
        let (never, next) = self.read(|| Ok((why("it started")?, why("its next attempt")?)))?;
        let answer = self
            .link
            .run(&script::CANCEL, Lasts::Yes, |command| {
                command.arg(run.to_string()).arg(&never).arg(&next);
            })
            .await?;
        let (cancelled, said) = self.read(|| {
            let [answer, said] = answer::parts(answer)?;
            let cancelled = match answer::text(answer)?.as_bytes() {
                b"n" => Cancelled::NotFound,
                b"a" => Cancelled::Aborted,
                b"r" => Cancelled::Requested,
                [letter, ..] => Cancelled::AlreadyFinished(state(*letter)?),
                [] => return Err(crate::record::corrupt("an answer", b"")),
            };
            Ok((cancelled, answer::text(said)?))
        })?;
        self.tell(&said);
        Ok(cancelled)
    }
}

fn read_finished(answer: Value) -> Outcome<(Vec<Finished>, String)> {
    let [_, answers, said] = answer::parts(answer)?;
    let mut finished = Vec::new();
    let mut answers = answer::list(answers)?.into_iter();
    while let (Some(letter), Some(_task), Some(count)) =
        (answers.next(), answers.next(), answers.next())
    {
        let what = match answer::text(letter)?.as_bytes() {
            [b'-'] => Finished::Lost,
            [letter, ..] => Finished::Written(state(*letter)?),
            [] => return Err(crate::record::corrupt("an answer", b"")),
        };
        finished.extend(std::iter::repeat_n(what, answer::number(&count)?));
    }
    Ok((finished, answer::text(said)?))
}
