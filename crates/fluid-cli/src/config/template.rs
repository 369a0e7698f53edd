//! What `init` writes.

/// A commented `fluid.toml` that works at once with what every Unix has.
pub(crate) const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::Config;
    use super::TEMPLATE;

    #[test]
    fn the_template_is_a_faultless_file_with_a_scheduled_and_a_heavy_task() {
        let config = Config::parse(
            TEMPLATE,
            Path::new("fluid.toml"),
            PathBuf::from("/fluid.toml"),
        )
        .unwrap_or_else(|error| panic!("{}", error.render()));
        assert!(config.tasks.iter().any(|task| task.schedule.is_some()));
        assert!(config.tasks.iter().any(|task| task.cpu_bound));
    }
}
