use std::{fmt, str::FromStr};

/// One of several equal shares of the documents, for machines that index side by side: every document is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: u32,
    of: u32,
}

impl Shard {
    /// More machines than this index nothing together.
    const MOST: u32 = 10_000;

    /// Whether a document is in this share, by a digest of its name.
    pub fn holds(self, digest: u64) -> bool {
        digest % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (number, of) = s.split_once('/')?;
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1 <= number && number <= of && of <= Self::MOST).then_some(Self { number, of })
        };
        parse().ok_or_else(|| {
            format!("{s:?} is no share; use 2/5 for the second of five, from 1/5 to 5/5, of at most {}", Self::MOST)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_is_in_exactly_one_share() {
        let shards: Vec<Shard> = (1..=5).map(|n| format!("{n}/5").parse().unwrap()).collect();
        assert_eq!(shards[1].to_string(), "2/5");
        for digest in (0..100).chain([u64::MAX]) {
            assert_eq!(shards.iter().filter(|shard| shard.holds(digest)).count(), 1);
        }
        for bad in ["", "2", "0/5", "6/5", "1/0", "-1/5", "1/2/3", "1/10001", "a/b"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
