//! How often each address may: a token bucket apiece.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Full buckets are forgotten when there are so many, and the more.
const FEW: usize = 1024;
/// Addresses beyond so many share one bucket.
const MANY: usize = 65_536;

/// A bucket for each address: `burst` at once, and one more each `period`.
#[derive(Debug)]
pub(super) struct Buckets {
    burst: f64,
    period: Duration,
    all: Mutex<All>,
}

#[derive(Debug)]
struct All {
    buckets: HashMap<IpAddr, Bucket>,
    /// How many make it worth looking for full ones.
    crowd: usize,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(burst: u32, period: Duration) -> Self {
        Self {
            burst: f64::from(burst.max(1)),
            period,
            all: Mutex::new(All {
                buckets: HashMap::new(),
                crowd: FEW,
            }),
        }
    }

    /// Takes one for this address; `Err` says how long until there is one.
    pub(super) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.take_at(address, Instant::now())
    }

    fn take_at(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.buckets.len() >= all.crowd {
            all.buckets
                .retain(|_, bucket| self.left(bucket, now) < self.burst);
            all.crowd = FEW.max(all.buckets.len() * 2);
        }
        let mut key = network(address);
        if all.buckets.len() >= MANY && !all.buckets.contains_key(&key) {
            key = Ipv6Addr::UNSPECIFIED.into();
        }
        let full = Bucket {
            left: self.burst,
            at: now,
        };
        let bucket = all.buckets.entry(key).or_insert(full);
        let left = self.left(bucket, now);
        *bucket = Bucket { left, at: now };
        if left < 1.0 {
            return Err(self.period.mul_f64(1.0 - left));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    fn left(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at);
        let gained = passed.as_secs_f64() / self.period.as_secs_f64();
        (bucket.left + gained).min(self.burst)
    }
}

/// Who has one address of IPv6 has at least 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_burst_and_then_one_a_period() {
        let buckets = Buckets::new(2, Duration::from_secs(6));
        let (one, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(buckets.take_at(one, start), Ok(()));
        assert_eq!(buckets.take_at(one, start), Ok(()));
        let wait = buckets.take_at(one, after(2)).unwrap_err();
        assert_eq!(wait.as_millis(), 4000);
        assert_eq!(buckets.take_at(other, after(2)), Ok(()));
        assert_eq!(buckets.take_at(one, after(6)), Ok(()));
        assert!(buckets.take_at(one, after(6)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_full_buckets_are_forgotten() {
        let buckets = Buckets::new(1, Duration::from_secs(1));
        let start = Instant::now();
        assert!(
            buckets
                .take_at("2001:db8::1".parse().unwrap(), start)
                .is_ok()
        );
        assert!(
            buckets
                .take_at("2001:db8::2".parse().unwrap(), start)
                .is_err()
        );
        assert!(
            buckets
                .take_at("2001:db8:0:1::1".parse().unwrap(), start)
                .is_ok()
        );
        for n in 0..5000_u32 {
            let later = start + Duration::from_secs(u64::from(n) * 2);
            buckets
                .take_at(std::net::Ipv4Addr::from(n).into(), later)
                .unwrap();
        }
        assert!(buckets.all.lock().unwrap().buckets.len() <= FEW);
    }
}
