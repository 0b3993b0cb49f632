//! How many requests a second each caller may send.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use poem::http::StatusCode;

use crate::access::Caller;
use crate::problem::{ApiError, ApiResult};

/// What each caller has sent lately.
#[derive(Default)]
pub(crate) struct Rates(ArcSwapOption<Limiter>);

struct Limiter {
    rate: NonZeroU32,
    by_caller: DefaultKeyedRateLimiter<String>,
}

impl Rates {
    /// Counts a request of `caller`, and refuses it if it is one too many.
    pub(crate) fn check(
        &self,
        caller: &Caller,
        from: Option<IpAddr>,
        rate: NonZeroU32,
    ) -> ApiResult<()> {
        let mut limiter = self.0.load_full();
        if limiter.as_ref().is_none_or(|it| it.rate != rate) {
            let by_caller = RateLimiter::keyed(Quota::per_second(rate));
            let made = Arc::new(Limiter { rate, by_caller });
            self.0.store(Some(made.clone()));
            limiter = Some(made);
        }
        let key = match from {
            Some(address) => format!("{}@{address}", caller.name),
            None => caller.name.to_string(),
        };
        match limiter.is_none_or(|it| it.by_caller.check_key(&key).is_ok()) {
            true => Ok(()),
            false => Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "access::rate",
                format!("`{}` sends more than {rate} requests a second", caller.name),
            )
            .help("nothing was changed; wait a second, and send several changes in one request")),
        }
    }

    /// Forgets those who have sent nothing lately.
    pub(crate) fn tidy(&self) {
        if let Some(limiter) = &*self.0.load() {
            limiter.by_caller.retain_recent();
            limiter.by_caller.shrink_to_fit();
        }
    }
}
