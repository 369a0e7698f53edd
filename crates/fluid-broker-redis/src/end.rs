//! What is written to running attempts: their leases, their news, their ends, the wish to cancel them.

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

/// How attempts end; those that follow each other and end alike are told of once.
#[derive(PartialEq)]
struct End<'a> {
    kind: &'static str,
    text: std::borrow::Cow<'a, str>,
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

fn ends(batch: &[(LeaseRef, Finish)]) -> Outcome<Vec<(End<'_>, usize)>> {
    let mut ends: Vec<(End<'_>, usize)> = Vec::new();
    for (_, finish) in batch {
        let end = End::of(finish)?;
        match ends.last_mut() {
            Some((last, count)) if *last == end => *count += 1,
            _ => ends.push((end, 1)),
        }
    }
    Ok(ends)
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
        let ends = self.read(|| ends(batch))?;
        let asked = self
            .ends
            .ask(batch.iter().map(|(lease, _)| (*lease, ())).collect());
        let tokens: Vec<String> = batch
            .iter()
            .map(|(lease, _)| {
                // An earlier call that nobody answered may have ended it.
                let doubt = self.ends.of(lease).is_some();
                format!("{}{}", if doubt { 'R' } else { 'r' }, token(*lease))
            })
            .collect();
        let answer = self
            .link
            .run(&script::END, Lasts::Yes, |command| {
                command.arg(reports.len());
                for report in reports {
                    write_report(command, report);
                }
                command.arg(batch.len());
                for (lease, _) in batch {
                    command.arg(lease.run.to_string());
                }
                command.arg(&tokens);
                for (end, count) in &ends {
                    command
                        .arg(end.kind)
                        .arg(*count)
                        .arg(end.text.as_ref())
                        .arg(&end.instead)
                        .arg(end.delay);
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
