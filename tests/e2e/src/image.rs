//! Container images made without a container engine: a docker archive of a few files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use tokio::process::Command;

/// Nobody's own user, as small images have it.
const USER: &str = "65532:65532";

/// An image that is a list of layers; a layer shared by two images is stored once by the runtime.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) layers: Vec<Vec<File>>,
}

/// A file or a link in an image.
#[derive(Clone, Debug)]
pub(crate) enum File {
    /// A copy that everyone can read and run.
    Copy { from: PathBuf, to: PathBuf },
    /// A symbolic link.
    Link { to: PathBuf, target: PathBuf },
}

impl File {
    pub(crate) fn program(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self::Copy {
            from: from.into(),
            to: to.into(),
        }
    }

    pub(crate) fn link(to: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self::Link {
            to: to.into(),
            target: target.into(),
        }
    }
}

impl Image {
    /// Writes it as a docker archive.
    pub(crate) fn write(&self, archive: &Path) -> anyhow::Result<()> {
        let layers = self
            .layers
            .iter()
            .map(|files| layer(files))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let digests: Vec<_> = layers.iter().map(|bytes| digest(bytes)).collect();
        let config = json!({
            "architecture": architecture()?,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
                "User": USER,
                "WorkingDir": "/",
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": digests.iter().map(|digest| format!("sha256:{digest}")).collect::<Vec<_>>(),
            },
        })
        .to_string();
        let config_name = format!("{}.json", digest(config.as_bytes()));
        let layer_names: Vec<_> = digests
            .iter()
            .map(|digest| format!("{digest}.tar"))
            .collect();
        let manifest = json!([{
            "Config": config_name, "RepoTags": [self.name], "Layers": layer_names,
        }])
        .to_string();
        let file = fs::File::create(archive).with_context(|| format!("{}", archive.display()))?;
        let mut tar = Builder::new(file);
        append(&mut tar, &config_name, config.as_bytes())?;
        for (name, bytes) in layer_names.iter().zip(&layers) {
            append(&mut tar, name, bytes)?;
        }
        append(&mut tar, "manifest.json", manifest.as_bytes())?;
        tar.finish()?;
        Ok(())
    }
}

fn append(tar: &mut Builder<fs::File>, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let mut header = header(0o644);
    header.set_size(u64::try_from(bytes.len())?);
    Ok(tar.append_data(&mut header, name, bytes)?)
}

/// The same files make the same bytes: no time, no owner.
fn layer(files: &[File]) -> anyhow::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for file in files {
        match file {
            File::Copy { from, to } => {
                let bytes = fs::read(from).with_context(|| format!("{}", from.display()))?;
                let mut header = header(0o755);
                header.set_size(u64::try_from(bytes.len())?);
                tar.append_data(&mut header, inside(to), bytes.as_slice())?;
            }
            File::Link { to, target } => {
                let mut header = header(0o777);
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, inside(to), target)?;
            }
        }
    }
    Ok(tar.into_inner()?)
}

fn header(mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header
}

fn inside(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn architecture() -> anyhow::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no image name is known for a machine of {other:?}"),
    }
}

/// What a program of this machine needs beside itself: its loader and shared libraries, at the same paths.
pub(crate) async fn libraries(program: &Path) -> anyhow::Result<Vec<File>> {
    let output = Command::new("ldd").arg(program).output().await?;
    if !output.status.success() {
        // A static program has none, which ldd calls an error.
        return Ok(Vec::new());
    }
    let listing = String::from_utf8(output.stdout)?;
    let paths = listing
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(|path| File::program(path, path)).collect())
}
