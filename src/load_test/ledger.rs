//! What was written when, and who has heard of it: from it come the times of delivery, and that
//! nothing was lost.

use tokio::time::Instant;

use super::measure::{Kind, Measures};

/// The writes to the test's own keys, each of which counts up from 1.
#[derive(Debug)]
pub(crate) struct Ledger {
    slots: Vec<Slot>,
    /// Up to which number each listener has heard of each slot.
    heard: Vec<Vec<usize>>,
}

/// One key, which one writer writes, one write after the other.
#[derive(Debug)]
struct Slot {
    kind: Kind,
    writes: Vec<Write>,
}

#[derive(Debug)]
struct Write {
    at: Instant,
    /// Whether it went well; not known before it is answered.
    done: Option<bool>,
}

impl Ledger {
    /// One slot of each of `kinds`, heard by so many.
    pub fn new(kinds: &[Kind], listeners: usize) -> Self {
        let slots = kinds.iter().map(|&kind| Slot { kind, writes: Vec::new() });
        Self { slots: slots.collect(), heard: vec![vec![0; kinds.len()]; listeners] }
    }

    /// A write to `slot` begins now; the number that it is to write.
    pub fn begin(&mut self, slot: usize, now: Instant) -> usize {
        let writes = &mut self.slots[slot].writes;
        writes.push(Write { at: now, done: None });
        writes.len()
    }

    /// The write that began last has ended.
    pub fn end(&mut self, slot: usize, went_well: bool) {
        if let Some(write) = self.slots[slot].writes.last_mut() {
            write.done = Some(went_well);
        }
    }

    /// `listener` has heard `number` in `slot`. What it did not hear before that was replaced by
    /// then, and has taken as long as it took.
    pub fn hear(
        &mut self,
        listener: usize,
        slot: usize,
        number: usize,
        now: Instant,
        measures: &mut Measures,
    ) {
        let Some(Slot { kind, writes }) = self.slots.get(slot) else { return };
        let heard = &mut self.heard[listener][slot];
        let before = *heard;
        *heard = before.max(number);
        if number > writes.len() {
            measures.of(*kind).failed("a value was heard that was never written");
            return;
        }
        for (at, write) in writes.iter().enumerate().take(number).skip(before) {
            if at + 1 == number || write.done == Some(true) {
                measures.of(*kind).took(now.duration_since(write.at));
            }
        }
    }

    /// Whether everybody has heard of everything that was written.
    pub fn is_settled(&self) -> bool {
        self.missing().all(|(_, count)| count == 0)
    }

    /// Counts as failed what nobody will hear of any more.
    pub fn settle(&self, measures: &mut Measures) {
        for (kind, count) in self.missing() {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            measures.of(kind).failed_often("a client never heard of a write", count);
        }
    }

    /// For each slot and listener, how many writes that went well were not heard of.
    fn missing(&self) -> impl Iterator<Item = (Kind, usize)> {
        self.slots.iter().enumerate().flat_map(move |(at, slot)| {
            self.heard.iter().map(move |heard| {
                let rest = slot.writes.iter().skip(heard[at]);
                (slot.kind, rest.filter(|it| it.done == Some(true)).count())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(numbers: usize, began: Instant) -> Ledger {
        let mut ledger = Ledger::new(&[Kind::Delivery], 1);
        for _ in 0..numbers {
            ledger.begin(0, began);
            ledger.end(0, true);
        }
        ledger
    }

    #[test]
    fn what_was_replaced_before_it_was_heard_has_taken_as_long() {
        let now = Instant::now();
        let mut ledger = written(3, now);
        let mut measures = Measures::default();

        ledger.hear(0, 0, 3, now + Duration::from_millis(7), &mut measures);

        let delivery = measures.get(Kind::Delivery).unwrap();
        assert_eq!((delivery.count(), delivery.percentile_ms(100.0).round()), (3, 7.0));
        assert!(ledger.is_settled());
    }

    #[test]
    fn what_is_never_heard_has_failed() {
        let now = Instant::now();
        let mut ledger = written(3, now);
        let mut measures = Measures::default();

        ledger.hear(0, 0, 1, now, &mut measures);
        ledger.settle(&mut measures);

        assert!(!ledger.is_settled());
        assert_eq!(measures.get(Kind::Delivery).unwrap().error_count(), 2);
    }

    #[test]
    fn what_is_heard_twice_counts_once() {
        let now = Instant::now();
        let mut ledger = written(1, now);
        let mut measures = Measures::default();

        ledger.hear(0, 0, 1, now, &mut measures);
        ledger.hear(0, 0, 1, now, &mut measures);

        assert_eq!(measures.get(Kind::Delivery).unwrap().count(), 1);
    }
}
