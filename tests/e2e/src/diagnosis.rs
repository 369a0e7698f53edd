//! What a person would look at first when a scenario failed.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, LogParams};

use crate::place::Place;

/// The last lines of each pod's log.
const LINES: i64 = 15;

/// More pods than these tell nothing new; they are in the order of their names.
const PODS: usize = 10;

/// The pods, their logs and the events of some namespaces; what can't be read is left out.
pub(crate) async fn diagnose(places: &[Place]) -> String {
    let mut text = String::new();
    for place in places {
        text.push_str(&format!("  in {}:\n", place.namespace));
        let pods = place.api::<Pod>();
        let Ok(list) = pods.list(&ListParams::default()).await else {
            continue;
        };
        for pod in list.items.into_iter().rev().take(PODS) {
            let name = pod.metadata.name.unwrap_or_default();
            let status = pod.status.unwrap_or_default();
            let phase = status.phase.unwrap_or_default();
            text.push_str(&format!("    pod {name} {phase}\n"));
            for container in status.container_statuses.into_iter().flatten() {
                let state = serde_json::to_string(&container.state).unwrap_or_default();
                text.push_str(&format!("      {} {state}\n", container.name));
                let last = LogParams {
                    container: Some(container.name),
                    tail_lines: Some(LINES),
                    ..LogParams::default()
                };
                for line in pods.logs(&name, &last).await.unwrap_or_default().lines() {
                    text.push_str(&format!("      | {line}\n"));
                }
            }
        }
        let events = place.api::<Event>().list(&ListParams::default()).await;
        for event in events.into_iter().flatten() {
            let reason = event.reason.unwrap_or_default();
            if event.type_.as_deref() != Some("Normal") && reason != "MissingClusterDNS" {
                let object = event.involved_object.name.unwrap_or_default();
                let message = event.message.unwrap_or_default();
                text.push_str(&format!("    event {object} {reason}: {message}\n"));
            }
        }
    }
    text
}
