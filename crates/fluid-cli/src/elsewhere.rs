//! The URL of a broker that stands elsewhere: `env:NAME` is what a variable holds, `file:PATH` what is in a file. Both are
//! written as OpenSSL writes them, and keep a password out of arguments, which every user of the machine can read.

use std::borrow::Cow;
use std::path::Path;

use crate::failure::Failure;

/// The URL itself. A relative path counts from `base`.
///
/// # Errors
/// A usage error when the variable or the file is not there, or empty.
pub(crate) fn read<'a>(url: &'a str, base: &Path) -> Result<Cow<'a, str>, Failure> {
    let text = if let Some(name) = url.strip_prefix("env:") {
        // A name that can't be one is asked of nobody.
        let valid = !name.is_empty() && !name.contains(['=', '\0']);
        let value = valid.then(|| std::env::var(name).ok()).flatten();
        value.ok_or_else(|| Failure::usage(format!("the variable {name:?} is not set")))?
    } else if let Some(path) = url.strip_prefix("file:") {
        let path = base.join(path);
        std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!("{} can't be read", path.display())).caused_by(&error)
        })?
    } else {
        return Ok(Cow::Borrowed(url));
    };
    match text.trim() {
        "" => Err(Failure::usage(format!("{url} holds nothing"))
            .help("it should hold the URL of a broker")),
        text => Ok(Cow::Owned(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_from_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("url"), "redis://a\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let read = |url| read(url, folder.path()).map(Cow::into_owned);
        let absolute = format!("file:{}", folder.path().join("url").display());
        assert_eq!(read("redis://b").unwrap(), "redis://b");
        assert_eq!(read("file:url").unwrap(), "redis://a");
        assert_eq!(read(&absolute).unwrap(), "redis://a");
        assert_eq!(read("env:PATH").unwrap(), std::env::var("PATH").unwrap());
        for (url, why) in [
            (
                "env:FLUID_TEST_NOT_SET",
                "\"FLUID_TEST_NOT_SET\" is not set",
            ),
            ("env:", "\"\" is not set"),
            ("file:nowhere", "nowhere can't be read"),
            ("file:empty", "file:empty holds nothing"),
        ] {
            let said = read(url).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
