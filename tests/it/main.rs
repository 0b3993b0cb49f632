//! Every integration test, in one binary: it links once.

/// Makes two tests of each scenario, one on each database.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[test]
                fn $scenario() {
                    super::$scenario(&crate::world::World::sqlite());
                }
            )+
        }

        mod on_postgres {
            $(
                #[test]
                fn $scenario() {
                    super::$scenario(&crate::world::World::postgres());
                }
            )+
        }
    };
}

mod dry_run;
mod postgres;
mod world;
