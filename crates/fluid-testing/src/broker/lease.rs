//! Leases: who may write to a run, and for how long.

use fluid_core::{DEFAULT_LEASE, Finished, RunState};

use super::BrokerHarness;
use super::stage::{Stage, new_run, success};

pub(super) async fn a_lost_lease_cannot_finish_the_run(harness: &dyn BrokerHarness) {
    let stage = Stage::new(harness).await;
    let id = stage.enqueue(new_run("a")).await;
    let lost = stage.claim_one("a").await;
    stage.advance(DEFAULT_LEASE);
    let held = stage.claim_one("a").await;
    assert_eq!((lost.run.id, held.run.id), (id, id));
    assert_ne!(lost.token, held.token);

    assert_eq!(stage.finish(&lost, success()).await, Finished::Lost);
    assert_eq!(stage.get(id).await, held.run);
    let finished = stage.finish(&held, success()).await;
    assert_eq!(finished, Finished::Written(RunState::Success));
}
