//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept free for Kafka, the spool and the operators, or half of what there is.
const RESERVE: usize = 512;

/// So many connections there may be: as many as are wished, if the limit of the process is that high. It is
/// raised first as far as the system allows.
pub(super) fn connections(wished: usize) -> usize {
    let most = beside_the_reserve(raise());
    if most < wished {
        tracing::info!(wished, most, "the limit of open files allows fewer connections than server.max_connections");
    }
    wished.min(most)
}

fn beside_the_reserve(descriptors: usize) -> usize {
    descriptors - RESERVE.min(descriptors / 2)
}

/// Raises the limit of open files and tells what it is.
fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    let highest = Rlimit { current: before.maximum, maximum: before.maximum };
    let raised = setrlimit(Resource::Nofile, highest);
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    let now = if raised.is_ok() { before.maximum } else { before.current };
    now.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_kept_for_the_rest_of_the_process() {
        for (descriptors, most) in [(0, 0), (256, 128), (1024, 512), (4096, 3584), (1_048_576, 1_048_064)] {
            assert_eq!(beside_the_reserve(descriptors), most);
        }
    }
}
