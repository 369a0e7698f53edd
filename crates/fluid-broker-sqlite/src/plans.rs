//! How SQLite carries out each statement.

use rusqlite::Connection;

use crate::{schema, sql};

/// Tables that grow with what is declared, not with the runs: walking all of one is no fault.
const SMALL: [&str; 8] = [
    "tasks",
    "t",
    "queues",
    "q",
    "counts",
    "c",
    "consumers",
    "claimants",
];

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut explain = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let unbound = vec![rusqlite::types::Null; explain.parameter_count()];
    explain
        .query_map(rusqlite::params_from_iter(unbound), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Whether a step of a plan walks all of a table that grows.
fn walks_a_growing_table(step: &str) -> bool {
    let Some(scanned) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let table = scanned.split(' ').next().unwrap_or_default();
    !SMALL.contains(&table)
        && table != "json_each"
        && !scanned.starts_with("CONSTANT ROW")
        && !scanned.ends_with("-ROW VALUES CLAUSE")
}

#[test]
fn no_statement_walks_a_table_that_grows() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let mut walks = Vec::new();
    for (name, sql) in sql::ALL {
        // It is the question for all runs: it goes through them from the newest on, up to its limit.
        if *name == "NEWEST" {
            continue;
        }
        for step in plan(&connection, sql) {
            if walks_a_growing_table(&step) {
                walks.push(format!("{name}: {step}"));
            }
        }
    }
    assert_eq!(walks, [] as [String; 0]);
}

#[test]
fn a_walk_through_all_runs_would_be_noticed() {
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection).unwrap();
    let steps = plan(&connection, "SELECT seq FROM runs WHERE error = 'no'");
    assert!(
        steps.iter().any(|step| walks_a_growing_table(step)),
        "{steps:?}"
    );
}
