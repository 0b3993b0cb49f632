//! Three instances race for every instant, and die and freeze at random.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use setpoint_ops::database::Database;
use setpoint_ops::job::{Claim, Holder, Job, State, finish, renew, tick};

use super::{at, instance, job, minute, opened, ready, succeeded};
use crate::world::{World, block_on};

on_both![each_instant_runs_once_however_many_race_die_and_freeze,];

/// How many instants there are on PostgreSQL and on SQLite, where each takes longer. The long one
/// is with `SETPOINT_JOB_INSTANTS=10000`.
const INSTANTS: [i64; 2] = [300, 60];

/// Numbers that are the same each time (xorshift); the first must not be 0.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Racer<'a> {
    db: Database,
    job: &'a Job,
    holder: Holder,
    dice: Dice,
    /// What it had when it was frozen.
    frozen: Vec<Claim>,
    /// How often each instant was recorded, by whomever.
    recorded: &'a Mutex<BTreeMap<i64, u32>>,
}

impl Racer<'_> {
    /// One round at `now`; with `faults` it may die or freeze over what it has claimed.
    async fn round(&mut self, now: i64, faults: bool) {
        let skew = self.dice.roll(5) as i64;
        while let Some(claim) = tick(&self.db, self.job, &self.holder, at(now, skew)).await.unwrap()
        {
            match self.dice.roll(8) {
                0 if faults => return self.silence(&claim).await,
                1 if faults => {
                    self.silence(&claim).await;
                    return self.frozen.push(claim);
                }
                _ => self.record(&claim, now).await,
            }
        }
        if self.dice.roll(3) == 0
            && let Some(claim) = self.frozen.pop()
        {
            self.record(&claim, now).await;
        }
    }

    async fn record(&self, claim: &Claim, now: i64) {
        let recorded = finish(&self.db, claim, self.job, &succeeded(), at(now, 30)).await.unwrap();
        if let Some(recorded) = recorded {
            assert_eq!(recorded.state, State::Succeeded);
            *self.recorded.lock().unwrap().entry(minute(claim)).or_default() += 1;
        }
    }

    /// Is not heard of for as long as its lease.
    async fn silence(&self, claim: &Claim) {
        let silent = Holder { lease: Duration::ZERO, ..self.holder.clone() };
        renew(&self.db, claim, &silent, at(0, 0)).await.unwrap();
    }
}

fn each_instant_runs_once_however_many_race_die_and_freeze(world: &World) {
    ready(world, "");
    let instants = std::env::var("SETPOINT_JOB_INSTANTS").ok().map(|it| it.parse().unwrap());
    let instants: i64 = instants.unwrap_or(INSTANTS[usize::from(!world.is_postgres())]);
    let job = job(|it| {
        it.overlap = Some("queue".to_owned());
        it.missed = Some("all".to_owned());
        it.retries = Some(20);
    });
    let recorded = Mutex::default();
    let racer = |(at, name): (usize, &&str)| Racer {
        db: opened(world),
        job: &job,
        holder: instance(name),
        dice: Dice(0x9e37_79b9_7f4a_7c15 + at as u64),
        frozen: Vec::new(),
        recorded: &recorded,
    };
    let mut racers: Vec<Racer<'_>> =
        ["one", "two", "three"].iter().enumerate().map(racer).collect();
    let [one, two, three] = &mut racers[..] else { unreachable!() };

    block_on(async {
        for now in 0..=instants {
            tokio::join!(one.round(now, true), two.round(now, true), three.round(now, true));
        }
        // Nobody dies any more, and all that was left lying is taken over.
        one.round(instants, false).await;
    });

    let recorded = recorded.lock().unwrap().clone();
    let wrong: Vec<_> = recorded.iter().filter(|(_, times)| **times != 1).collect();
    assert!(wrong.is_empty(), "run more than once: {wrong:?}");
    assert_eq!(recorded.into_keys().collect::<Vec<_>>(), (1..=instants).collect::<Vec<_>>());
    let states = "SELECT state, count(*) FROM job_run GROUP BY state";
    let kept = instants.min(5000);
    assert!(world.sql(states).starts_with("succeeded|"), "{}", world.sql(states));
    assert!(world.sql("SELECT count(*) FROM job_run").parse::<i64>().unwrap() >= kept);
    let taken_over = world.sql("SELECT count(*) FROM job_run WHERE attempt > 1");
    assert!(taken_over.parse::<i64>().unwrap() > kept / 10, "{taken_over} were taken over");
}
