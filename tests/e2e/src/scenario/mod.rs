//! What must be seen on a real cluster. Each scenario has namespaces of its own.

mod data;
mod disturbance;
mod ends;
mod housekeeping;
mod image;
mod outage;
mod outcome;
mod outside;
mod pending;
mod rights;
mod scale;
mod stop;
mod suite;
mod takeover;
mod template;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use anyhow::bail;

use crate::cluster::Cluster;
use crate::cluster::local::Local;
use crate::place::Place;
use crate::setup::Setup;
use crate::world::World;

/// A scenario's future: what was seen, in a few words.
type Seen = Pin<Box<dyn Future<Output = anyhow::Result<String>>>>;

/// One thing to see.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Whether it disturbs the others, as one that stops the API server.
    pub(crate) alone: bool,
    /// Whether it must stop and start programs of the cluster, which only a local one lets it.
    pub(crate) local: bool,
    pub(crate) run: fn(Stage) -> Seen,
}

/// Names are the functions' with dashes.
macro_rules! scenarios {
    ($list:ident, alone: $alone:literal, local: $local:literal, $($module:ident::$name:ident,)*) => {
        const $list: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            alone: $alone,
            local: $local,
            run: |stage| Box::pin($module::$name(stage)),
        },)*];
    };
}

scenarios!(TOGETHER, alone: false, local: false,
    // The longest, so that the others go on beside it.
    suite::the_executors_own_tests,
    housekeeping::orphan_swept,
    data::output_of_100_000_lines,
    image::the_image_says_its_version,
    image::the_page_line_by_line,
    outcome::success_with_a_result,
    outcome::task_error_with_its_message,
    outcome::exit_code_3,
    outcome::panic,
    outcome::out_of_memory,
    outcome::a_container_of_50_ms_yields_its_output,
    stop::timeout,
    stop::cancel_of_a_running_run,
    stop::cancel_of_a_pending_run,
    pending::image_that_does_not_exist,
    pending::unschedulable,
    pending::quota_exceeded_then_lifted,
    template::deployment_missing,
    template::container_name_wrong,
    template::no_serve_in_the_command,
    template::sidecar_in_the_deployment,
    template::init_container_and_volumes,
    template::k8s_config_arrives,
    template::ten_namespaces_at_once,
    data::parameters_of_500_kib,
    data::secret_parameters,
    takeover::consumer_killed_mid_job,
    takeover::consumer_rolled_mid_job,
    disturbance::job_deleted_by_hand,
    disturbance::pod_deleted_by_hand,
    disturbance::pod_evicted,
    disturbance::foreign_job_of_the_same_name,
    rights::seed_role_only,
    rights::minimal_role_only,
    rights::no_rights_at_all,
    housekeeping::retry_makes_a_new_job,
    housekeeping::ttl_removes_the_job,
    outside::outside_a_cluster,
);

scenarios!(OUTAGES, alone: true, local: true,
    outage::api_server_stopped_mid_job_and_mid_create,
    outage::watch_expired,
);

scenarios!(ALONE, alone: true, local: false,
    scale::requests_per_job,
);

scenarios!(SCALE, alone: true, local: true,
    scale::two_thousand_jobs,
);

/// All of them, those that run together first.
pub(crate) fn all() -> impl Iterator<Item = Scenario> {
    [TOGETHER, OUTAGES, ALONE, SCALE]
        .into_iter()
        .flatten()
        .copied()
}

/// Where a scenario runs; it knows what the scenario made, to look at it and to clear it away.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) world: World,
    name: &'static str,
    places: Rc<RefCell<Vec<Place>>>,
}

impl Stage {
    pub(crate) fn new(world: World, name: &'static str) -> Self {
        Self {
            world,
            name,
            places: Rc::default(),
        }
    }

    /// A namespace with a consumer that serves.
    pub(crate) async fn place(&self, setup: Setup) -> anyhow::Result<Place> {
        let place = self.unserved(setup).await?;
        place.served().await?;
        Ok(place)
    }

    /// The same for a consumer that is not expected to serve.
    pub(crate) async fn unserved(&self, setup: Setup) -> anyhow::Result<Place> {
        let number = self.places().len() + 1;
        let name = format!("e2e-{}-{number}", self.name.replace('_', "-"));
        self.place_named(&name, setup).await
    }

    /// The same in a namespace with this name.
    pub(crate) async fn place_named(&self, name: &str, setup: Setup) -> anyhow::Result<Place> {
        let place = Place::new(&self.world.client, name, &setup);
        self.places.borrow_mut().push(place.clone());
        place.furnish(setup).await?;
        Ok(place)
    }

    /// The cluster, if its own programs are ours to stop and to start.
    pub(crate) fn local(&self) -> anyhow::Result<&Local> {
        match &*self.world.cluster {
            Cluster::Local(local) => Ok(local),
            Cluster::Kind(_) | Cluster::Current(_) => bail!("this needs --cluster local"),
        }
    }

    /// The places that were made so far.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.places.borrow().clone()
    }
}
