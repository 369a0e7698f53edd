//! Running a program in a pod that runs already, as `kubectl exec` does.

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Standard output, if it ended well.
    pub(crate) fn well(self) -> anyhow::Result<String> {
        if self.code != 0 {
            bail!(
                "it ended with {}: {}{}",
                self.code,
                self.stdout,
                self.stderr
            );
        }
        Ok(self.stdout)
    }
}

/// Runs `argv` in a pod's container with `input` on standard input. Dropping the future leaves the program running.
pub(crate) async fn exec(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    argv: &[&str],
    input: &[u8],
) -> anyhow::Result<Said> {
    let parameters = AttachParams::default()
        .container(container)
        .stdin(!input.is_empty());
    let mut process = pods
        .exec(pod, argv.iter().copied(), &parameters)
        .await
        .with_context(|| format!("could not run {argv:?} in pod {pod}"))?;
    let status = process.take_status();
    let stdin = process.stdin();
    let write = async {
        if let Some(mut stdin) = stdin {
            stdin.write_all(input).await?;
            stdin.shutdown().await?;
        }
        anyhow::Ok(())
    };
    let (written, stdout, stderr) =
        tokio::join!(write, read(process.stdout()), read(process.stderr()));
    let (stdout, stderr) = (stdout?, stderr?);
    // A program may end without reading all of its input: how it ended says more.
    let status = match status {
        Some(status) => status.await,
        None => None,
    }
    .with_context(|| format!("{argv:?} in pod {pod} ended without a word: {stdout}{stderr}"))?;
    let code = match status.status.as_deref() {
        Some("Success") => 0,
        _ => status
            .details
            .as_ref()
            .and_then(|details| details.causes.as_ref()?.first()?.message.as_ref())
            .and_then(|code| code.parse().ok())
            .with_context(|| format!("{argv:?} in pod {pod}: {status:?}"))?,
    };
    if code == 0 {
        written?;
    }
    Ok(Said {
        code,
        stdout,
        stderr,
    })
}

async fn read(stream: Option<impl AsyncReadExt + Unpin>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
