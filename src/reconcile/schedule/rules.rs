//! From what a provider allows and what the configuration says to when a stream is read.

use crate::provider::api::StreamInfo;
use crate::reconcile::compare::Unseen;
use crate::reconcile::schedule::Timing;
use crate::reconcile::window::HOUR_S;
use crate::settings::reconcile::Ages;

/// How far back a stream's first reading begins, unless the configuration says otherwise.
const LOOKBACK_S: u32 = 259_200;

/// Why a stream can not be read at the ages that it is to be read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeFault {
    /// The provider does not have a window so early.
    #[error("is too early; the provider tells of a time {least_s} s after it at the earliest")]
    TooEarly {
        /// The least age.
        least_s: u32,
    },
    /// The further ages do not ascend from the first.
    #[error("has to ascend, each age being greater than delay_s, which is {delay_s}")]
    NotAscending {
        /// The first age.
        delay_s: u32,
    },
    /// The provider would not have all of a window any more.
    #[error("is too late; the provider keeps rows so long that the greatest age can be {greatest_s} s")]
    TooLate {
        /// The greatest age.
        greatest_s: u32,
    },
}

impl AgeFault {
    /// The key of the configuration that is to be changed.
    pub fn key(self, ages: &Ages) -> &'static str {
        match self {
            Self::TooEarly { .. } => "delay_s",
            Self::NotAscending { .. } => "again_s",
            Self::TooLate { .. } if ages.again_s.is_some() => "again_s",
            Self::TooLate { .. } => "delay_s",
        }
    }
}

impl StreamInfo {
    /// The longest window whose request, with its margins, is not too long.
    pub fn widest_window_s(&self) -> i64 {
        i64::from(self.widest_s).saturating_sub(2 * i64::from(self.margin_s)).max(1)
    }

    /// What a row counts as that is not in the topics.
    pub fn unseen(&self) -> Unseen {
        if self.primary { Unseen::New } else { Unseen::Missing }
    }

    /// The greatest age at which a window of an hour can still be read, with an hour to spare.
    pub fn greatest_age_s(&self) -> u32 {
        let spared_s = u32::try_from(2 * HOUR_S).unwrap_or_default();
        self.reach_s.saturating_sub(spared_s)
    }

    /// How far back its first reading begins, in seconds. Where it is certain what the provider keeps, no further than
    /// that, with an hour to spare; what is configured beyond it may be asked for where it is not.
    pub fn lookback_s(&self, configured_s: Option<u32>) -> u32 {
        let kept_s = self.reach_s.saturating_sub(u32::try_from(HOUR_S).unwrap_or_default());
        match configured_s {
            Some(lookback_s) if !self.reach_is_sure => lookback_s,
            other => other.unwrap_or(LOOKBACK_S).min(kept_s),
        }
    }

    /// When the stream is read.
    ///
    /// # Errors
    /// Every reason why it can not be, at once.
    pub fn timing(&self, ages: &Ages, lookback_s: u32) -> Result<Timing, Vec<AgeFault>> {
        let delay_s = ages.delay_s.unwrap_or(self.delay_s);
        let again_s = self.again_s(ages, delay_s);
        let ages_s: Vec<u32> = std::iter::once(delay_s).chain(again_s).collect();
        let faults = self.faults(delay_s, &ages_s);
        let Self { reach_s, reach_is_sure, .. } = *self;
        if faults.is_empty() { Ok(Timing { ages_s, lookback_s, reach_s, reach_is_sure }) } else { Err(faults) }
    }

    /// Of the stream's own further ages only those count that are later than a first one that the configuration moved.
    fn again_s(&self, ages: &Ages, delay_s: u32) -> Vec<u32> {
        let own = || self.again_s.iter().copied().filter(|age_s| *age_s > delay_s).collect();
        ages.again_s.clone().unwrap_or_else(own)
    }

    fn faults(&self, delay_s: u32, ages_s: &[u32]) -> Vec<AgeFault> {
        let too_early = delay_s < self.least_delay_s;
        let too_late = ages_s.iter().any(|age_s| *age_s > self.greatest_age_s());
        let disordered = ages_s.windows(2).any(|pair| matches!(pair, [age_s, next_s] if next_s <= age_s));
        let faults = [
            (too_early, AgeFault::TooEarly { least_s: self.least_delay_s }),
            (disordered, AgeFault::NotAscending { delay_s }),
            (too_late, AgeFault::TooLate { greatest_s: self.greatest_age_s() }),
        ];
        faults.into_iter().filter(|(applies, _)| *applies).map(|(_, fault)| fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamInfo = StreamInfo {
        name: "cdr",
        product: "cdr",
        kinds: &[],
        widest_s: 43_200,
        margin_s: 1,
        least_delay_s: 330,
        delay_s: 1800,
        again_s: &[43_200, 144_000],
        reach_s: 172_800,
        reach_is_sure: false,
        counted: true,
        primary: false,
        includes: None,
    };

    fn timing(delay_s: Option<u32>, again_s: Option<&[u32]>) -> Result<Vec<u32>, Vec<AgeFault>> {
        let ages = Ages { delay_s, again_s: again_s.map(<[u32]>::to_vec) };
        STREAM.timing(&ages, 3600).map(|timing| timing.ages_s)
    }

    #[test]
    fn what_the_configuration_leaves_out_is_the_streams_own() {
        assert_eq!(timing(None, None), Ok(vec![1800, 43_200, 144_000]));
        assert_eq!(timing(Some(330), None), Ok(vec![330, 43_200, 144_000]));
        assert_eq!(timing(None, Some(&[])), Ok(vec![1800]));
        assert_eq!(timing(Some(50_000), None), Ok(vec![50_000, 144_000]));
    }

    #[test]
    fn ages_that_can_not_be_kept_are_refused_all_at_once() {
        assert_eq!(timing(Some(329), None), Err(vec![AgeFault::TooEarly { least_s: 330 }]));
        assert_eq!(timing(None, Some(&[1800])), Err(vec![AgeFault::NotAscending { delay_s: 1800 }]));
        assert_eq!(timing(None, Some(&[3, 2])), Err(vec![AgeFault::NotAscending { delay_s: 1800 }]));
        let greatest_s = 172_800 - 7200;
        assert_eq!(timing(None, Some(&[greatest_s])), Ok(vec![1800, greatest_s]));
        assert_eq!(timing(None, Some(&[greatest_s + 1])), Err(vec![AgeFault::TooLate { greatest_s }]));
        assert_eq!(timing(Some(0), Some(&[9, 9, 400_000])).map_err(|faults| faults.len()), Err(3));
    }

    #[test]
    fn a_fault_names_the_key_that_mends_it() {
        let given = Ages { delay_s: None, again_s: Some(vec![1]) };
        let late = AgeFault::TooLate { greatest_s: 1 };
        assert_eq!((late.key(&given), late.key(&Ages::default())), ("again_s", "delay_s"));
        assert_eq!(AgeFault::TooEarly { least_s: 1 }.key(&given), "delay_s");
        assert_eq!(AgeFault::NotAscending { delay_s: 1 }.key(&given), "again_s");
    }

    #[test]
    fn the_first_reading_goes_back_as_far_as_it_is_said_and_as_the_provider_surely_keeps() {
        let sure = StreamInfo { reach_is_sure: true, ..STREAM };
        let long = StreamInfo { reach_s: 2_592_000, ..STREAM };
        assert_eq!(
            (STREAM.lookback_s(None), sure.lookback_s(None), long.lookback_s(None)),
            (169_200, 169_200, 259_200)
        );
        assert_eq!((STREAM.lookback_s(Some(900_000)), sure.lookback_s(Some(900_000))), (900_000, 169_200));
        assert_eq!((STREAM.lookback_s(Some(3600)), sure.lookback_s(Some(3600))), (3600, 3600));
    }

    #[test]
    fn a_request_with_its_margins_is_not_too_wide() {
        assert_eq!(STREAM.widest_window_s(), 43_198);
        assert_eq!(StreamInfo { margin_s: 0, ..STREAM }.widest_window_s(), 43_200);
    }
}
