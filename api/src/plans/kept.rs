//! Plans that were made here, and may be carried out by their hash alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use setpoint_ops::import::Import;
use setpoint_ops::plan::Kind;

/// The newest plans, the oldest first.
#[derive(Default)]
pub(crate) struct Plans(Mutex<VecDeque<Arc<Import>>>);

/// How many are kept at most, and how many changes they have together.
const MOST: usize = 100;
const MOST_CHANGES: usize = 200_000;

impl Plans {
    /// Keeps a plan, and forgets the oldest that there is no room for.
    pub(crate) fn keep(&self, mut import: Import) {
        if import.plan.kind != Kind::Adopt {
            // Files are read again: they may say something else by then.
            import.sources = Vec::new();
        }
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|it| it.plan.hash != import.plan.hash);
        plans.push_back(Arc::new(import));
        let weight = |plans: &VecDeque<Arc<Import>>| {
            plans.iter().map(|it| it.plan.changes.len()).sum::<usize>()
        };
        while plans.len() > MOST || plans.len() > 1 && weight(&plans) > MOST_CHANGES {
            plans.pop_front();
        }
    }

    pub(crate) fn find(&self, hash: &str) -> Option<Arc<Import>> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.iter().find(|it| it.plan.hash == hash).cloned()
    }
}
