//! `fluid-cli`: runs the programs that `fluid.toml` names, and nothing else.

fn main() -> std::process::ExitCode {
    fluid_cli::App::stock().main()
}
