//! Keys, certificates and tokens of one cluster; they are as short-lived as it is.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Who may talk to the API server: file name, user, groups.
const USERS: &[(&str, &str, &str)] = &[
    ("admin", "admin", "system:masters"),
    ("controller-manager", "system:kube-controller-manager", ""),
    ("scheduler", "system:kube-scheduler", ""),
    ("kubelet", "system:node:node-1", "system:nodes"),
];

/// Writes `ca.crt`, `server.crt`, `server.key`, `accounts.key`, `tokens.csv` and a kubeconfig for each user.
pub(super) fn write(folder: &Path, server: &str, addresses: &[IpAddr]) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "fluid-e2e");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    fs::write(folder.join("ca.crt"), &ca_certificate)?;

    let names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes"];
    let mut leaf = CertificateParams::new(names.map(str::to_owned))?;
    leaf.distinguished_name
        .push(DnType::CommonName, "kube-apiserver");
    leaf.subject_alt_names
        .extend(addresses.iter().copied().map(SanType::IpAddress));
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    fs::write(
        folder.join("server.crt"),
        leaf.signed_by(&key, &issuer)?.pem(),
    )?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;

    let accounts = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), accounts.serialize_pem())?;
    fs::write(folder.join("accounts.pub"), accounts.public_key_pem())?;

    let mut tokens = String::new();
    for (name, user, groups) in USERS {
        let token = uuid::Uuid::new_v4().simple().to_string();
        tokens.push_str(&format!("{token},{user},{name},{groups}\n"));
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fluid-e2e", "cluster": {
                "server": server, "certificate-authority": folder.join("ca.crt"),
            }}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "fluid-e2e", "context": {"cluster": "fluid-e2e", "user": name}}],
            "current-context": "fluid-e2e",
        });
        let config = serde_json::to_string_pretty(&config)?;
        fs::write(folder.join(format!("{name}.kubeconfig")), config)?;
    }
    fs::write(folder.join("tokens.csv"), tokens)?;
    Ok(())
}
