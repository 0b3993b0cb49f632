//! The best of many, without keeping or sorting the rest.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::grade::{Grade, Score};
use super::{Fields, Letters};

pub(super) struct Entry<'a, T> {
    pub score: Score,
    pub item: T,
    pub letters: Letters,
    pub fields: Fields<'a>,
}

/// The best entries, at most so many as it was made for.
pub(super) struct Best<'a, T> {
    capacity: usize,
    /// The worst is on top.
    heap: BinaryHeap<Reverse<Entry<'a, T>>>,
}

impl<'a, T> Best<'a, T> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, heap: BinaryHeap::new() }
    }

    pub fn is_full(&self) -> bool {
        self.heap.len() >= self.capacity
    }

    /// What is worse than this is not kept.
    pub fn floor(&self) -> Grade {
        match self.heap.peek() {
            Some(Reverse(worst)) if self.is_full() => worst.score.worst(),
            _ => Grade::NONE,
        }
    }

    /// Whether an entry of this score may be kept, if its key is so long. Entries come in the order
    /// of their keys, so of those that are as good the ones that came first stay.
    pub fn admits(&self, score: Score, key_bytes: u16) -> bool {
        let worst = self.heap.peek().filter(|_| self.is_full());
        worst.is_none_or(|Reverse(it)| {
            (score, Reverse(key_bytes)) > (it.score, Reverse(it.letters.key_bytes))
        })
    }

    pub fn push(&mut self, entry: Entry<'a, T>) {
        if !self.is_full() {
            self.heap.push(Reverse(entry));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry > worst.0
        {
            *worst = Reverse(entry);
        }
    }

    /// Takes what others have kept of later keys.
    pub fn extend(&mut self, later: Self) {
        for Reverse(entry) in later.heap {
            self.push(entry);
        }
    }

    /// The best first.
    pub fn into_sorted(self) -> Vec<Entry<'a, T>> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(entry)| entry).collect()
    }
}

/// What is greater is better: the score, then the shorter key, then the first in order.
impl<T> Ord for Entry<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |it: &Self| (it.score, Reverse(it.letters.key_bytes));
        let keys = || other.fields.key.cmp(self.fields.key);
        rank(self).cmp(&rank(other)).then_with(keys)
    }
}

impl<T> PartialOrd for Entry<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<'_, T> {}
