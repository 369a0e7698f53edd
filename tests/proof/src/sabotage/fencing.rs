//! A broker that takes a write of an attempt whose lease was lost.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fluid_core::{
    Broker, BrokerResult, ClaimRequest, Claimed, Finish, Finished, LeaseRef, LeaseToken, Report,
    RunId,
};

use crate::around::Around;

/// The latest token of each run, known to all processes on a broker.
#[derive(Debug, Clone)]
pub enum Tokens {
    /// In one process.
    Memory(Arc<Mutex<HashMap<RunId, LeaseToken>>>),
    /// In files of a folder, for many processes.
    Folder(PathBuf),
}

impl Tokens {
    fn put(&self, lease: LeaseRef) {
        match self {
            Self::Memory(tokens) => {
                let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.insert(lease.run, lease.token);
            }
            Self::Folder(folder) => {
                // Not to be relied on: a token that is not there is one stale write less.
                let path = folder.join(lease.run.to_string());
                let _ = std::fs::write(path, lease.token.as_i64().to_string());
            }
        }
    }

    fn latest(&self, lease: LeaseRef) -> LeaseRef {
        let token = match self {
            Self::Memory(tokens) => {
                let tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.get(&lease.run).copied()
            }
            Self::Folder(folder) => std::fs::read_to_string(folder.join(lease.run.to_string()))
                .ok()
                .and_then(|token| token.parse().ok())
                .map(LeaseToken::from_i64),
        };
        LeaseRef {
            token: token.unwrap_or(lease.token),
            ..lease
        }
    }
}

/// Writes ends under the run's latest token, whoever comes with them.
#[derive(Debug)]
pub(super) struct Unfenced {
    tokens: Tokens,
}

impl Unfenced {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }
}

impl Around for Unfenced {
    async fn claim(&self, broker: &dyn Broker, request: ClaimRequest) -> BrokerResult<Claimed> {
        let claimed = broker.claim(request).await?;
        for (run, token) in &claimed.runs {
            self.tokens.put(LeaseRef {
                run: run.id,
                token: *token,
            });
        }
        Ok(claimed)
    }

    async fn finish(
        &self,
        broker: &dyn Broker,
        reports: Vec<Report>,
        batch: Vec<(LeaseRef, Finish)>,
    ) -> BrokerResult<Vec<Finished>> {
        let under_latest = |(lease, finish)| (self.tokens.latest(lease), finish);
        let batch = batch.into_iter().map(under_latest).collect();
        broker.report_and_finish(reports, batch).await
    }
}
