//! When which request is to be sent. It does not wait for answers: a service that is slow does
//! not get fewer requests, and its slowness is measured from when they were to be sent.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::measure::Kind;

/// What is asked of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub duration: Duration,
    /// Connections, each with one request at a time.
    pub users: usize,
    /// Requests in a second, of all users together.
    pub rps: f64,
}

impl Load {
    /// How long after the start `user` is to send its request number `turn`; none if the test is
    /// over by then.
    pub fn at(&self, user: usize, turn: u64) -> Option<Duration> {
        let number = turn as f64 * self.users as f64 + user as f64;
        let at = Duration::try_from_secs_f64(number / self.rps).ok()?;
        (at < self.duration).then_some(at)
    }

    /// Of ten requests of a user, eight read, one writes, one searches.
    pub fn kind(user: usize, turn: u64) -> Kind {
        match (turn + user as u64) % 10 {
            0 => Kind::Write,
            5 => Kind::Search,
            _ => Kind::Read,
        }
    }
}

/// What a timer is late by at most, on a machine that is not overloaded.
const TIMER: Duration = Duration::from_millis(2);

/// Waits for `intended`, and says from when on the request counts: from then, if the answer
/// before it came too late or this machine did; what only the timer is late by is not the
/// service's.
pub(crate) async fn turn(intended: Instant) -> Instant {
    if Instant::now() >= intended {
        return intended;
    }
    sleep_until(intended).await;
    let now = Instant::now();
    if now.duration_since(intended) <= TIMER { now } else { intended }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load { duration: Duration::from_secs(10), users: 4, rps: 100.0 };

    /// The requests of all users.
    fn all(load: &Load) -> Vec<Duration> {
        let of_user = |user| (0..).map_while(move |turn| load.at(user, turn));
        let mut all: Vec<_> = (0..load.users).flat_map(of_user).collect();
        all.sort();
        all
    }

    #[test]
    fn requests_are_spread_evenly() {
        let all = all(&LOAD);

        assert_eq!(all.len(), 1_000);
        assert_eq!(all[..3], [0, 10, 20].map(Duration::from_millis));
    }

    #[test]
    fn every_user_reads_writes_and_searches() {
        for user in 0..4 {
            let kinds: Vec<_> = (0..10).map(|turn| Load::kind(user, turn)).collect();
            let count = |kind| kinds.iter().filter(|it| **it == kind).count();

            assert_eq!([Kind::Read, Kind::Write, Kind::Search].map(count), [8, 1, 1]);
        }
    }

    #[tokio::test]
    async fn a_request_that_had_to_wait_counts_from_when_it_was_due() {
        let due = Instant::now() - Duration::from_secs(1);

        assert_eq!(turn(due).await, due);
    }
}
