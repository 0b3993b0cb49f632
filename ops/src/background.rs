//! Work that gives way to all other work of the program.

use std::cell::RefCell;
use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{self, Handle, RuntimeMetrics};
use tokio::sync::oneshot;

/// `SCHED_IDLE`: whoever else wants to run does so at once. Of a lower `nice` alone a thread would
/// still run its slice to the end.
const POLICY: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// How long is worked before there is a rest.
const WORK: Duration = Duration::from_millis(5);

/// How much longer the rest is where the others never pause.
const REST: f64 = 2.0;

/// What counts of a longer piece of work: most of that was waiting to run, or for something else.
const LONGEST_WORK: Duration = Duration::from_millis(15);

thread_local! {
    /// Those that the work of this thread gives way to; none if it is no background work.
    static OTHERS: RefCell<Option<RuntimeMetrics>> = const { RefCell::new(None) };
}

/// Does `work` on a thread of its own, which runs when nobody else wants to, as do the threads that
/// it starts. It ends with the future that waits for it.
///
/// # Errors
///
/// [`io::Error`] if there can be no thread, or it panics.
pub(crate) async fn in_background<T, F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<T>
where
    F: Future<Output = T>,
    T: Send + 'static,
{
    let (mut give, done) = oneshot::channel();
    let others = Handle::current().metrics();
    let run = move || {
        let thread = thread_native_id();
        // Who may not goes on as everybody.
        if let Err(error) = set_thread_priority_and_policy(thread, ThreadPriority::Min, POLICY) {
            tracing::debug!(%error, "background work is as important as any");
        }
        let give_way = move || OTHERS.set(Some(others.clone()));
        give_way();
        // Threads are inherited from: those of the runtime that serves are not to be slow for ever.
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = match runtime.enable_all().on_thread_start(give_way).build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(give.send(Err(error))),
        };
        let done = runtime.block_on(async {
            tokio::select! {
                value = work() => Some(value),
                () = give.closed() => None,
            }
        });
        if let Some(value) = done {
            drop(give.send(Ok(value)));
        }
    };
    thread::Builder::new().name("background".to_owned()).spawn(run)?;
    done.await.unwrap_or_else(|_| Err(io::Error::other("the work panicked")))
}

/// Work in pieces, with rests between them: whoever runs when nobody else wants to takes caches and
/// the time to be sent away all the same. There are rests only in background work, and the less the
/// runtime that waits for it has to do, the shorter they are.
pub(crate) struct Pace {
    others: Option<RuntimeMetrics>,
    since: Instant,
    /// How long they had worked then, all their threads together.
    busy: Duration,
}

impl Pace {
    /// At that of the work that this thread does.
    pub(crate) fn new() -> Self {
        let others = OTHERS.with_borrow(Clone::clone);
        let busy = others.as_ref().map_or(Duration::ZERO, busy);
        Self { others, since: Instant::now(), busy }
    }

    /// Rests if it is time to.
    pub(crate) async fn breathe(&mut self) {
        if let Some(rest) = self.rest() {
            tokio::time::sleep(rest).await;
            *self = Self::new();
        }
    }

    fn breathe_blocking(&mut self) {
        if let Some(rest) = self.rest() {
            thread::sleep(rest);
            *self = Self::new();
        }
    }

    fn rest(&self) -> Option<Duration> {
        let others = self.others.as_ref()?;
        let worked = self.since.elapsed();
        let theirs = busy(others).saturating_sub(self.busy).as_secs_f64();
        rest(worked, theirs / (worked.as_secs_f64() * others.num_workers() as f64))
    }
}

/// After `worked`, in which the others were busy for `share` of the time.
fn rest(worked: Duration, share: f64) -> Option<Duration> {
    (worked >= WORK).then(|| worked.min(LONGEST_WORK).mul_f64(REST * share.clamp(0.0, 1.0)))
}

fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|it| runtime.worker_total_busy_duration(it)).sum()
}

/// Reads at a [`Pace`].
pub(crate) struct Gentle<R> {
    inner: R,
    pace: Pace,
}

impl<R> Gentle<R> {
    /// At the pace of the work that makes it.
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, pace: Pace::new() }
    }
}

impl<R: Read> Read for Gentle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pace.breathe_blocking();
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use thread_priority::thread_schedule_policy;
    use tokio::task::spawn_blocking;

    use super::*;

    fn policy() -> ThreadSchedulePolicy {
        thread_schedule_policy().unwrap()
    }

    #[tokio::test]
    async fn only_it_and_its_threads_give_way() {
        let before = policy();

        let work = || async { (policy(), spawn_blocking(policy).await.unwrap()) };
        let within = in_background(work).await.unwrap();

        assert_eq!(within, (POLICY, POLICY));
        assert_eq!((policy(), spawn_blocking(policy).await.unwrap()), (before, before));
    }

    #[test]
    fn it_rests_the_longer_the_busier_the_others_are() {
        let worked = WORK * 2;

        assert_eq!(rest(WORK / 2, 1.0), None);
        assert_eq!(rest(worked, 0.0), Some(Duration::ZERO));
        assert_eq!(rest(worked, 0.5), Some(worked));
        assert_eq!(rest(worked, 1.0), Some(worked * 2));
        assert_eq!(rest(LONGEST_WORK * 100, 1.0), Some(LONGEST_WORK * 2));
    }

    #[tokio::test]
    async fn only_it_and_its_threads_rest() {
        let rests = || Pace::new().others.is_some();

        let work = move || async move { (rests(), spawn_blocking(rests).await.unwrap()) };
        let within = in_background(work).await.unwrap();

        assert_eq!(within, (true, true));
        assert!(!rests());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let failed = in_background(|| async { panic!("as it is meant") }).await;

        assert_eq!(failed.map(|(): ()| ()).unwrap_err().to_string(), "the work panicked");
    }

    #[tokio::test]
    async fn it_ends_when_nobody_waits() {
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let (started, is_started) = oneshot::channel();
        let work = in_background(move || async move {
            let _held = dropped;
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        });

        tokio::select! {
            _ = work => unreachable!("it has no end"),
            _ = is_started => {}
        }

        assert!(is_dropped.await.is_err());
    }
}
