//! What of the Deployment and of `K8sConfig` becomes the Job.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::Stage;
use super::outcome::failed;
use crate::place::Place;
use crate::rights::Rbac;
use crate::setup::{Setup, container};

pub(super) async fn deployment_missing(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.lost]\ncpu_bound = true\nshell = 'true'\nk8s.deployment = 'no-such'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let (_, error) = failed(&place, "lost").await?;
    ensure!(error.message.contains("no-such"), "{error:?}");
    ensure!(error.message.contains(&place.namespace), "{error:?}");
    Ok(error.message)
}

pub(super) async fn container_name_wrong(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.lost]\ncpu_bound = true\nshell = 'true'\nk8s.container = 'no-such'";
    let place = stage.place(Setup::stock(tasks)).await?;
    let (_, error) = failed(&place, "lost").await?;
    ensure!(error.message.contains("no-such"), "{error:?}");
    ensure!(
        error.message.contains("main"),
        "what was found is not named: {error:?}"
    );
    Ok(error.message)
}

pub(super) async fn no_serve_in_the_command(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.lost]\ncpu_bound = true\nshell = 'true'\nk8s.deployment = 'other'";
    let other = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "other"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "other"}},
            "template": {
                "metadata": {"labels": {"app": "other"}},
                "spec": {"containers": [{"name": "main", "image": "other:1", "command": ["other", "run"]}]},
            },
        },
    });
    let place = stage.place(Setup::stock(tasks).object(other)).await?;
    let (_, error) = failed(&place, "lost").await?;
    ensure!(error.message.contains("serve"), "{error:?}");
    ensure!(
        error.message.contains("other"),
        "what was found is not named: {error:?}"
    );
    Ok(error.message)
}

pub(super) async fn sidecar_in_the_deployment(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.little]\ncpu_bound = true\nshell = 'echo done'";
    let setup = Setup::stock(tasks).deployment(|deployment| {
        let mut sidecar = container(deployment).clone();
        sidecar["name"] = json!("sidecar");
        sidecar["command"] = json!(["sleep", "100000"]);
        sidecar["args"] = json!([]);
        sidecar["readinessProbe"] = json!({"exec": {"command": ["true"]}});
        if let Some(containers) =
            deployment["spec"]["template"]["spec"]["containers"].as_array_mut()
        {
            containers.push(sidecar);
        }
    });
    let place = stage.place(setup).await?;
    let run = place.enqueue("little", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    let job = place.job(&run.id).await?;
    let template = job.spec.context("a Job without a spec")?.template.spec;
    let names: Vec<_> = template
        .context("a template without a spec")?
        .containers
        .into_iter()
        .map(|container| container.name)
        .collect();
    ensure!(names == ["main"], "{names:?}");
    Ok("the Job completes, with the container main alone".to_owned())
}

/// The init container leaves a file on a volume, and another volume has the tasks themselves.
pub(super) async fn init_container_and_volumes(stage: Stage) -> anyhow::Result<String> {
    let tasks = "[tasks.read]\ncpu_bound = true\nshell = 'cat /prepared/word'";
    let setup = Setup::stock(tasks).deployment(|deployment| {
        let mount = json!({"name": "prepared", "mountPath": "/prepared"});
        let main = container(deployment);
        if let Some(mounts) = main["volumeMounts"].as_array_mut() {
            mounts.push(mount.clone());
        }
        let init = json!({
            "name": "prepare", "image": main["image"], "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", "echo prepared > /prepared/word"],
            "securityContext": main["securityContext"], "volumeMounts": [mount],
        });
        let spec = &mut deployment["spec"]["template"]["spec"];
        spec["initContainers"] = json!([init]);
        if let Some(volumes) = spec["volumes"].as_array_mut() {
            volumes.push(json!({"name": "prepared", "emptyDir": {}}));
        }
    });
    let place = stage.place(setup).await?;
    let run = place.enqueue("read", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    let output = place.output(&run.id).await?;
    ensure!(output == ["prepared"], "{output:?}");
    Ok("the file of the init container was read in the Job".to_owned())
}

pub(super) async fn k8s_config_arrives(stage: Stage) -> anyhow::Result<String> {
    let tasks = r#"
        [tasks.precise]
        cpu_bound = true
        shell = 'echo $COLOUR'
        timeout = "50s"

        [tasks.precise.k8s]
        job_ttl = "77s"
        node_selector = { "kubernetes.io/os" = "linux" }
        tolerations = [{ key = "spot", operator = "Exists" }]
        labels = { team = "pictures" }
        annotations = { "example.com/why" = "end to end" }
        env = { COLOUR = "green" }
        resources = { requests = { cpu = "10m", memory = "16Mi" }, limits = { memory = "64Mi" } }
        patch = { spec = { template = { spec = { terminationGracePeriodSeconds = 7 } } } }
    "#;
    let place = stage.place(Setup::stock(tasks)).await?;
    let run = place.enqueue("precise", &json!({})).await?;
    let run = place.finished(&run).await?;
    ensure!(run.state == "success", "{run:?}");
    let output = place.output(&run.id).await?;
    ensure!(output == ["green"], "{output:?}");
    let job = serde_json::to_value(place.job(&run.id).await?)?;
    let pod = serde_json::to_value(place.of_run::<Pod>(&run.id).await?.first())?;
    let container =
        json!({"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}});
    let expected: [(&Value, &str, Value); 9] = [
        (&job, "/spec/backoffLimit", json!(0)),
        (&job, "/spec/ttlSecondsAfterFinished", json!(77)),
        (&job, "/metadata/labels/team", json!("pictures")),
        (
            &job,
            "/metadata/annotations/example.com~1why",
            json!("end to end"),
        ),
        (&pod, "/metadata/labels/team", json!("pictures")),
        (&pod, "/spec/nodeSelector/kubernetes.io~1os", json!("linux")),
        (&pod, "/spec/terminationGracePeriodSeconds", json!(7)),
        (&pod, "/spec/restartPolicy", json!("Never")),
        (&pod, "/spec/containers/0/resources", container),
    ];
    for (object, pointer, value) in &expected {
        let seen = object.pointer(pointer);
        ensure!(
            seen == Some(value),
            "{pointer}: expected {value}, saw {seen:?}"
        );
    }
    let tolerations = pod["spec"]["tolerations"]
        .as_array()
        .context("no tolerations")?;
    ensure!(
        tolerations
            .iter()
            .any(|toleration| toleration["key"] == "spot"),
        "{tolerations:?}"
    );
    Ok(format!(
        "{} settings in the Job and its pod",
        expected.len() + 2
    ))
}

/// One consumer whose tasks name ten namespaces, each with a Deployment of its own.
pub(super) async fn ten_namespaces_at_once(stage: Stage) -> anyhow::Result<String> {
    let consumer = "e2e-ten-namespaces-at-once-1";
    let names: Vec<_> = (0..10).map(|number| format!("e2e-ten-{number}")).collect();
    let tasks: String = names
        .iter()
        .map(|name| {
            format!("[tasks.{name}]\ncpu_bound = true\nshell = 'echo in {name}'\nk8s.namespace = '{name}'\n")
        })
        .collect();
    for name in &names {
        let text = tasks.clone();
        let setup = Setup::stock(&text)
            .rbac(Rbac::Nothing)
            .deployment(|deployment| deployment["spec"]["replicas"] = json!(0));
        stage.place_named(name, setup).await?;
    }
    let place = stage.place_named(consumer, Setup::stock(&tasks)).await?;
    place.served().await?;
    let mut runs = Vec::new();
    for name in &names {
        runs.push(place.enqueue(name, &json!({})).await?);
    }
    for (name, run) in names.iter().zip(&runs) {
        let run = place.finished(run).await?;
        ensure!(run.state == "success", "{name}: {run:?}");
        let execution = run.execution.unwrap_or_default();
        ensure!(execution.contains(name), "{execution:?} is not in {name}");
        Place::new(&stage.world.client, name, &Setup::default())
            .job(&run.id)
            .await?;
    }
    Ok(format!("a Job in each of {} namespaces", names.len()))
}
