//! Every kind of fault in a `fluid.toml`, with the file, the line and the column.

use std::fmt::Write as _;

use serde_json::Value;

use crate::place::{Place, assert_told};

/// What the binary says of each file: for people, and for programs the line and column of every fault.
fn told(files: &[&str]) -> (Place, String) {
    let place = Place::empty();
    place.write("broken.json", "{\"type\": ");
    let mut told = String::new();
    for file in files {
        place.write("fluid.toml", file);
        let people = place.fluid(&["ls"]);
        assert_eq!(
            (people.code, people.out.as_str()),
            (2, ""),
            "{file}\n{people}"
        );
        let programs = place.fluid(&["ls", "--output", "json"]);
        assert_eq!(
            (programs.code, programs.out.as_str()),
            (2, ""),
            "{programs}"
        );
        let error: Value = serde_json::from_str(&programs.err).expect(&programs.err);
        let faults = error["error"]["faults"].as_array().expect("faults");
        assert!(!faults.is_empty(), "{error}");
        for fault in faults {
            let at = format!("fluid.toml:{}:{}", fault["line"], fault["column"]);
            assert!(people.err.contains(&at), "{at} is not in\n{people}");
        }
        write!(told, "{}", people.err).unwrap();
    }
    (place, told)
}

macro_rules! faults {
    ($($name:ident: [$($file:expr),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let (place, told) = told(&[$($file),*]);
            assert_told!(place, told);
        }
    )*};
}

faults! {
    what_is_not_toml: [
        "[tasks.a\ncommand = [\"true\"]",
        "[tasks.a]\ncommand = [\"true\"",
        "[tasks.a]\ndescription = \"ends nowhere\ncommand = [\"true\"]",
        "[tasks.a]\ncommand = [\"true\"]\ntimeout = 5m",
        "tasks.a.command == [\"true\"]",
    ];
    a_key_or_task_written_twice: [
        "[tasks.a]\ncommand = [\"true\"]\ntimeout = \"1s\"\ntimeout = \"2s\"",
        "[tasks.a]\ncommand = [\"true\"]\n\n[tasks.a]\ncommand = [\"false\"]",
        "[fluid]\n\n[tasks]\n\n[fluid]",
    ];
    an_unknown_key: [
        "[task.a]\ncommand = [\"true\"]",
        "[fluid]\nconcurency = 3",
        "[tasks.a]\ncomand = [\"true\"]",
        "[tasks.a]\ncommand = [\"true\"]\nimage = \"alpine\"",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { evry = \"5m\" }",
        "[tasks.a]\ncommand = [\"true\"]\nretry = { attemps = 3 }",
        "[tasks.a]\ncommand = [\"true\"]\nrate_limit = { limit = 3, per = \"1s\" }",
        "[tasks.a]\ncommand = [\"true\"]\nunique = { on = [\"x\"] }",
        "[tasks.a]\ncommand = [\"true\"]\nk8s = { namspace = \"x\" }",
    ];
    a_value_of_the_wrong_type: [
        "tasks = 3",
        "[fluid]\nconcurrency = \"ten\"",
        "[fluid]\nconcurrency = 0",
        "[fluid]\nqueues = \"default\"",
        "[tasks.a]\ncommand = \"date\"",
        "[tasks.a]\nshell = [\"date\"]",
        "[tasks.a]\ncommand = [\"sleep\", 3]",
        "[tasks.a]\ncommand = [\"true\"]\ncpu_bound = \"yes\"",
        "[tasks.a]\ncommand = [\"true\"]\ntimeout = true",
        "[tasks.a]\ncommand = [\"true\"]\nmax_concurrency = -1",
        "[tasks.a]\ncommand = [\"true\"]\ntags = \"nightly\"",
        "[tasks.a]\ncommand = [\"true\"]\nenv = { LEVEL = 3 }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = \"5m\"",
        "[tasks.a]\ncommand = [\"true\"]\nunique = \"path\"",
        "[tasks.a]\ncommand = [\"true\"]\nrate_limit = { limit = 3 }",
    ];
    a_word_that_does_not_go_there: [
        "[fluid]\nexecutor = \"docker\"",
        "[tasks.a]\ncommand = [\"true\"]\nexecutor = \"thread\"",
        "[tasks.a]\ncommand = [\"true\"]\npriority = \"urgent\"",
        "[tasks.a]\ncommand = [\"true\"]\nmissed = \"never\"",
        "[tasks.a]\ncommand = [\"true\"]\nqueue = \"two words\"",
        "[tasks.a]\ncommand = [\"true\"]\nretry = { on = [\"timeuot\"] }",
        "[tasks.a]\ncommand = [\"true\"]\nrate_limit = { limit = 1, period = \"1s\", exceeded = \"drop\" }",
    ];
    a_duration_that_is_none: [
        "[fluid]\nretention = \"a week\"",
        "[fluid]\nlease = -3",
        "[tasks.a]\ncommand = [\"true\"]\ntimeout = \"5 parsecs\"",
        "[tasks.a]\ncommand = [\"true\"]\nretry = { delay = \"soon\" }",
    ];
    a_task_that_can_not_be: [
        "[tasks.\"two words\"]\ncommand = [\"true\"]",
        "[tasks.a]\ndescription = \"does nothing\"",
        "[tasks.a]\ncommand = [\"true\"]\nshell = \"true\"",
        "[tasks.a]\ncommand = []",
        "[tasks.a]\nshell = \"  \"",
        "[tasks.a]\ncommand = [\"true\"]\ndirectory = \"no/such/folder\"",
        "[tasks.a]\ncommand = [\"true\"]\nexecutor = \"inline\"",
    ];
    a_policy_that_can_not_be: [
        "[tasks.a]\ncommand = [\"true\"]\nretry = { attempts = 0 }",
        "[tasks.a]\ncommand = [\"true\"]\nretry = { backoff = -1 }",
        "[tasks.a]\ncommand = [\"true\"]\nretry = { jitter = 2 }",
        "[tasks.a]\ncommand = [\"true\"]\nrate_limit = { limit = 0, period = \"1s\" }",
        "[tasks.a]\ncommand = [\"true\"]\nrate_limit = { limit = 1, period = 0 }",
    ];
    a_schedule_that_can_not_be: [
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { cron = \"61 * * * *\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { cron = \"every minute\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { cron = \"0 0 30 2 *\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { cron = \"0 3 * * *\", timezone = \"Europe/Zuerich\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"5m\", cron = \"0 3 * * *\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { jitter = \"5s\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = 0 }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"5s\", jitter = \"10s\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"5m\", timezone = \"UTC\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { cron = \"0 3 * * *\", delay = \"1m\" }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule_params = { path = \"x\" }",
    ];
    a_schema_that_is_none: [
        "[tasks.a]\ncommand = [\"true\"]\nparams = 5",
        "[tasks.a]\ncommand = [\"true\"]\nparams = { type = \"objekt\" }",
        "[tasks.a]\ncommand = [\"true\"]\nparams = { properties = { n = { type = \"integer\", minimum = \"one\" } } }",
        "[tasks.a]\ncommand = [\"true\"]\nparams = { type = \"object\" }\nparams_file = \"broken.json\"",
        "[tasks.a]\ncommand = [\"true\"]\nparams_file = \"nowhere.json\"",
        "[tasks.a]\ncommand = [\"true\"]\nparams_file = \"broken.json\"",
    ];
    a_parameter_that_the_schema_does_not_have: [
        "[tasks.a]\ncommand = [\"true\"]\nsecrets = [\"tokn\"]\nparams = { properties = { token = { type = \"string\" } } }",
        "[tasks.a]\ncommand = [\"true\"]\nunique = { by = [\"path\"] }\nparams = { properties = { file = {}, size = {} } }",
        "[tasks.a]\ncommand = [\"true\"]\nconcurrency_key = \"customr\"\nparams = { properties = { customer = {} } }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"5m\" }\nparams = { required = [\"path\"], properties = { path = {} } }",
        "[tasks.a]\ncommand = [\"true\"]\nschedule = { every = \"5m\" }\nschedule_params = { n = \"x\" }\nparams = { properties = { n = { type = \"integer\" } } }",
    ];
    all_faults_of_a_file_are_told_at_once_in_its_order: [
        "\
[tasks.zebra]
command = [\"true\"]
executor = \"inline\"

[tasks.ant]
shell = \"\"
retry = { attempts = 0, backoff = 0 }

[tasks.bee]
schedule = { cron = \"0 3 * * *\", timezone = \"Mars/Olympus\" }",
    ];
    columns_count_characters: [
        "[tasks.a]\ncommand = [\"true\"] # ok\ndescription = \"läuft – täglich\"\nschedule = { cron = \"ä ö ü\" }",
        "[tasks.a]\r\ncommand = [\"true\"]\r\nschedule = { cron = \"x\" }\r\n",
        "[tasks.a]\nenv = { \"grüße\" = \"日本語\", X = 3 }",
    ];
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let place = Place::empty();
    std::fs::create_dir(place.path().join("folder.toml")).unwrap();
    place.write("latin1.toml", b"# gr\xfc\xdfe\n");
    let mut told = String::new();
    for file in ["nowhere.toml", "folder.toml", "latin1.toml"] {
        let said = place.fluid(&["--config", file, "ls"]);
        assert_eq!(said.code, 2, "{said}");
        told.push_str(&said.to_string());
    }
    told.push_str(
        &place
            .call(&["ls"], &[("FLUID_CONFIG", "nowhere.toml")], "")
            .to_string(),
    );
    told.push_str(&place.fluid(&["ls"]).to_string());
    assert_told!(place, told);
}

#[test]
fn a_file_without_tasks_is_no_fault_until_there_should_be_something_to_run() {
    let place = Place::new("# nothing yet\n");
    assert_eq!(place.json(&["ls"]), serde_json::json!([]));
    assert_told!(place, place.fluid(&["serve"]));
}

#[test]
fn a_faulty_file_keeps_nobody_from_the_help() {
    let place = Place::new("[tasks.a]\n");
    assert_eq!(place.fluid(&["--help"]).code, 0);
    assert_eq!(place.fluid(&["runs", "list", "--help"]).code, 0);
    assert_eq!(place.fluid(&["--version"]).code, 0);
    let said = place.fluid(&["exec", "a", "--help"]);
    assert!(
        said.code == 2 && said.err.contains("fluid.toml:1:8"),
        "{said}"
    );
}
