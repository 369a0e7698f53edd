//! The rights that the executor needs, and what is lost without each.

use fluid_core::K8sTarget;

/// A right in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Right {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource, with its part after a `/`.
    pub resource: &'static str,
    /// What is done with it.
    pub verbs: &'static [&'static str],
    /// What it is for.
    pub purpose: &'static str,
    /// What happens without it; `None` if nothing works then.
    pub without: Option<&'static str>,
}

/// Every right that is used, the indispensable ones first.
pub const RIGHTS: &[Right] = &[
    Right {
        group: "apps",
        resource: "deployments",
        verbs: &["get"],
        purpose: "the pod template that Jobs are made from",
        without: None,
    },
    Right {
        group: "batch",
        resource: "jobs",
        verbs: &["create", "delete", "get", "list", "watch"],
        purpose: "the Jobs: made, adopted, followed, cancelled and swept",
        without: None,
    },
    Right {
        group: "",
        resource: "pods",
        verbs: &["list", "watch"],
        purpose: "results, why a Job failed, why it does not run yet",
        without: Some(
            "a Job that completes is a success without a result, and a failure tells its exit code alone",
        ),
    },
    Right {
        group: "",
        resource: "pods/log",
        verbs: &["get"],
        purpose: "the output of Jobs, and progress",
        without: Some("runs have no output and no progress"),
    },
    Right {
        group: "",
        resource: "secrets",
        verbs: &["create"],
        purpose: "parameters that are secret or larger than 8 KiB",
        without: Some("runs with secret parameters, or with more than 120 KiB of them, fail"),
    },
    Right {
        group: "",
        resource: "events",
        verbs: &["list", "watch"],
        purpose: "why a Job gets no pod, such as a quota",
        without: Some("a Job that gets no pod waits without saying why"),
    },
];

/// Whose rights they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceAccount {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

impl ServiceAccount {
    /// The account of this name and namespace.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
        }
    }
}

/// The name of the Role and, but for its end, of the binding: those of the page that fluid's users know.
const ROLE: &str = "execute-jobs-role";
const BINDING: &str = "tasks-consumer-rb";

/// The smallest Role, with its binding, for Jobs in these targets, as YAML: one for each namespace.
pub fn manifest(targets: &[K8sTarget], account: &ServiceAccount) -> String {
    let mut namespaces: Vec<_> = targets.iter().map(|target| &target.namespace).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let documents = namespaces.into_iter().map(|namespace| {
        let deployments = targets
            .iter()
            .filter(|target| target.namespace == *namespace);
        let mut deployments: Vec<_> = deployments
            .map(|target| target.deployment.as_str())
            .collect();
        deployments.sort_unstable();
        deployments.dedup();
        format!(
            "{}---\n{}",
            role(namespace, &deployments),
            binding(namespace, account)
        )
    });
    documents.collect::<Vec<_>>().join("---\n")
}

fn role(namespace: &str, deployments: &[&str]) -> String {
    let mut role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: {ROLE}\n  namespace: {}\nrules:\n",
        quoted(namespace)
    );
    for right in RIGHTS {
        role.push_str(&format!("# {}\n", right.purpose));
        role.push_str(&format!("- apiGroups: [{}]\n", quoted(right.group)));
        role.push_str(&format!("  resources: [{}]\n", right.resource));
        if right.resource == "deployments" {
            let names: Vec<_> = deployments.iter().map(|name| quoted(name)).collect();
            role.push_str(&format!("  resourceNames: [{}]\n", names.join(", ")));
        }
        role.push_str(&format!("  verbs: [{}]\n", right.verbs.join(", ")));
    }
    role
}

fn binding(namespace: &str, account: &ServiceAccount) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: {BINDING}\n  namespace: {}\n\
         subjects:\n- kind: ServiceAccount\n  name: {}\n  namespace: {}\n\
         roleRef:\n  kind: Role\n  name: {ROLE}\n  apiGroup: rbac.authorization.k8s.io\n",
        quoted(namespace),
        quoted(&account.name),
        quoted(&account.namespace),
    )
}

/// A JSON string is one of YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use fluid_core::K8sConfig;

    use super::*;

    /// Resources and verbs of a Role's rules, in order of resources.
    fn rules(role: &str) -> Vec<(String, Vec<String>)> {
        let listed = |line: &str, key: &str| {
            let list = line.trim().strip_prefix(key)?.trim();
            let list = list.strip_prefix('[')?.strip_suffix(']')?;
            let mut words: Vec<_> = list.split(',').map(|word| word.trim().to_owned()).collect();
            words.sort_unstable();
            Some(words)
        };
        let resources = role.lines().filter_map(|line| listed(line, "resources:"));
        let verbs = role.lines().filter_map(|line| listed(line, "verbs:"));
        let mut rules: Vec<_> = resources.map(|one| one.join(",")).zip(verbs).collect();
        rules.sort_unstable();
        rules
    }

    #[test]
    fn the_minimal_role_of_deploy_is_the_one_that_is_printed() {
        let crate_folder = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let path = format!("{crate_folder}/../../deploy/rbac-minimal.yaml");
        let deployed = rules(&std::fs::read_to_string(path).unwrap());
        assert_eq!(deployed, rules(&role("workers", &["fluid-task"])));
        assert_eq!(deployed.len(), RIGHTS.len());
    }

    #[test]
    fn each_namespace_gets_one_role_with_its_deployments() {
        let target = |namespace: &str, deployment: &str| {
            let config = K8sConfig::default()
                .namespace(namespace)
                .deployment(deployment);
            config.resolve(|_| None).unwrap()
        };
        let targets = [
            target("b", "x"),
            target("a", "z"),
            target("b", "y"),
            target("b", "x"),
        ];
        let text = manifest(&targets, &ServiceAccount::new("tasks-consumer-sa", "a"));
        assert_eq!(text.matches("kind: Role\nmetadata").count(), 2);
        assert_eq!(text.matches("kind: RoleBinding").count(), 2);
        assert!(text.contains("  namespace: \"b\"\nrules:"), "{text}");
        assert!(text.contains("resourceNames: [\"x\", \"y\"]"), "{text}");
        assert!(
            text.contains("resources: [pods/log]\n  verbs: [get]"),
            "{text}"
        );
        assert!(
            !text.contains("update") && !text.contains("patch"),
            "{text}"
        );
        assert_eq!(text.matches("\n---\n").count(), 3, "{text}");
    }
}
