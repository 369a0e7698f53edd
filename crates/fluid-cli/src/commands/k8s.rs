//! `k8s check` and `k8s rbac`.

use anstyle::Style;
use fluid_core::K8sTarget;
use fluid_exec_k8s::rbac::{self, ServiceAccount};
use fluid_exec_k8s::{Finding, FindingVerdict, targets};
use serde_json::json;

use crate::args::K8sAction;
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::k8s;
use crate::output::{Table, style};
use crate::session::Session;

pub(super) async fn run(session: &Session, action: &K8sAction) -> Done {
    match action {
        K8sAction::Check => check(session).await,
        K8sAction::Rbac { service_account } => print_rbac(session, service_account),
    }
}

/// Where Jobs go: those of the tasks that become some, and where there are none those of a task that says nothing.
fn places(session: &Session) -> Result<Vec<K8sTarget>, Failure> {
    let unusable = |error: fluid_core::K8sConfigError| Failure::usage(error.to_string());
    let places = targets(k8s::tasks(session)).map_err(unusable)?;
    if places.is_empty() {
        return Ok(vec![default_place()?]);
    }
    Ok(places)
}

fn default_place() -> Result<K8sTarget, Failure> {
    let config = fluid_core::K8sConfig::default();
    let place = config.resolve(|name| std::env::var(name).ok());
    place.map_err(|error| Failure::usage(error.to_string()))
}

async fn check(session: &Session) -> Done {
    let places = places(session)?;
    let executor = k8s::connect().await?.build();
    let findings = executor.check(&places).await;
    if session.output.is_json() {
        let findings: Vec<_> = findings.iter().map(as_json).collect();
        session.output.json(&json!({ "findings": findings }))?;
    } else {
        let mut table = Table::new(["NAMESPACE", "LOOKED AT", "IS", "DETAIL"]);
        for finding in &findings {
            let (word, colour) = shown(finding.verdict);
            table.row([
                (finding.namespace.clone(), Style::new()),
                (finding.subject.clone(), Style::new()),
                (word.to_owned(), colour),
                (finding.detail.clone(), Style::new()),
            ]);
        }
        session.output.table(&table)?;
    }
    let fails = |finding: &Finding| {
        matches!(
            finding.verdict,
            FindingVerdict::Bad | FindingVerdict::Unknown
        )
    };
    if !findings.iter().any(fails) {
        return Ok(Exit::Done);
    }
    if session.output.is_json() {
        return Err(Failure::silent(Exit::Other));
    }
    Err(
        Failure::new(Exit::Other, "tasks can't run as Jobs in this cluster").help(format!(
            "`{} k8s rbac` prints the Role that is needed",
            session.name
        )),
    )
}

fn shown(verdict: FindingVerdict) -> (&'static str, Style) {
    match verdict {
        FindingVerdict::Good => ("good", style::GOOD),
        FindingVerdict::Lacking => ("lacking", style::WARN),
        FindingVerdict::Bad => ("bad", style::BAD),
        _ => ("unknown", style::BAD),
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    json!({
        "namespace": finding.namespace, "subject": finding.subject,
        "verdict": shown(finding.verdict).0, "detail": finding.detail,
    })
}

fn print_rbac(session: &Session, account: &str) -> Done {
    let (namespace, name) = match account.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name),
        None => (default_place()?.namespace, account),
    };
    let text = rbac::manifest(&places(session)?, &ServiceAccount::new(name, namespace));
    session.output.line(text.trim_end())?;
    Ok(Exit::Done)
}
