//! Every integration test, in one binary: it links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Makes two tests of each scenario, one on each database.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[test]
                fn $scenario() {
                    insta::allow_duplicates!(super::$scenario(&crate::world::World::sqlite()));
                }
            )+
        }

        mod on_postgres {
            $(
                #[test]
                fn $scenario() {
                    insta::allow_duplicates!(super::$scenario(&crate::world::World::postgres()));
                }
            )+
        }
    };
}

mod applications;
mod at_once;
mod audit;
mod backup;
mod bad_input;
mod confirm;
mod data;
mod data_history;
mod doctor;
mod documents;
mod dry_run;
mod edit;
mod faults;
mod history;
mod invalid;
mod jobs;
mod load_test;
mod merge;
mod mistakes;
mod model;
mod notify;
mod plan_file;
mod postgres;
mod pruned;
mod raw_sql;
mod read;
mod reconcile;
mod same_meaning;
mod schema;
mod secrets;
mod serve;
mod shell;
mod table;
mod token;
mod world;
mod write_back;
