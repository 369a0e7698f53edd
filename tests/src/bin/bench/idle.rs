//! What a consumer costs that has nothing to do.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::figures::Bounds;

const FLUID_TOML: &str = "[fluid]\nbroker = \"sqlite://idle.db\"\n\n[tasks.rare]\ncommand = [\"true\"]\nschedule = { cron = \"0 3 1 1 *\" }\n";
const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(20);

pub(crate) fn measure(bounds: &mut Bounds) -> Result<(), Failure> {
    println!(
        "idle: `fluid-cli serve` with nothing to do, watched for {} s",
        WATCH.as_secs()
    );
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("fluid.toml"), FLUID_TOML)?;
    let binary = std::env::current_exe()?.with_file_name("fluid-cli");
    let mut serve = Command::new(binary)
        .arg("serve")
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(SETTLE);
    let before = cpu_time(serve.id());
    std::thread::sleep(WATCH);
    let after = cpu_time(serve.id());
    let memory = resident_mib(serve.id());
    serve.kill()?;
    serve.wait()?;
    let share = (after? - before?).as_secs_f64() / WATCH.as_secs_f64() * 100.0;
    let memory = memory?;
    bounds.check(
        "idle consumer, share of one core",
        format!("{share:.2} %"),
        "< 1 %",
        share < 1.0,
    );
    bounds.check(
        "idle consumer, resident memory",
        format!("{memory:.1} MiB"),
        "< 30 MB",
        memory * 1.048_576 < 30.0,
    );
    Ok(())
}

/// User and system time so far: fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms.
fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .flat_map(str::parse)
        .collect();
    Ok(Duration::from_millis(fields.iter().sum::<u64>() * 10))
}

fn resident_mib(pid: u32) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .ok_or("no value of VmRSS")?
        .parse()?;
    Ok(kib / 1024.0)
}
