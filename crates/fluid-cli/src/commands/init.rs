//! `init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::InitArgs;
use crate::config::{FILE_NAME, TEMPLATE};
use crate::exit::Exit;
use crate::failure::{Done, Failure};
use crate::session::Session;

/// Writes a `fluid.toml` that works at once, and never over another.
pub(super) fn init(session: &Session, args: &InitArgs) -> Done {
    let here = args.directory == Path::new(".");
    let path = if here {
        PathBuf::from(FILE_NAME)
    } else {
        args.directory.join(FILE_NAME)
    };
    std::fs::create_dir_all(&args.directory).map_err(|error| {
        let directory = args.directory.display();
        Failure::usage(format!("directory {directory} can't be made")).caused_by(&error)
    })?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(
                Failure::usage(format!("{} is there already", path.display()))
                    .help("name another directory, or move the file away"),
            );
        }
        Err(error) => {
            return Err(
                Failure::usage(format!("{} can't be written", path.display())).caused_by(&error),
            );
        }
    }
    if session.output.is_json() {
        session.output.json(&json!({ "written": path }))?;
    } else {
        let mut next = format!("{} serve", session.name);
        if !here {
            next = format!("cd {} && {next}", args.directory.display());
        }
        session
            .output
            .line(&format!("wrote {}; next: {next}", path.display()))?;
    }
    Ok(Exit::Done)
}
