//! Changes are carried to their end.

use fangshi_database::WriteError;
use tokio::task::JoinError;

/// Runs a change in a task of its own. A caller that gives up (an HTTP client that hangs up) after the write was queued
/// cannot stop it, so it must not stop what follows the commit either: memory would show another state than the store.
pub(crate) async fn to_the_end<R, E>(change: impl Future<Output = Result<R, E>> + Send + 'static) -> Result<R, E>
where
    R: Send + 'static,
    E: From<WriteError> + Send + 'static,
{
    tokio::spawn(change).await.unwrap_or_else(|ended| Err(cut_off(&ended).into()))
}

/// What is told of a task that ended without an answer. Its own text would quote what a panic said, and that may be data.
pub(crate) fn cut_off(ended: &JoinError) -> WriteError {
    if ended.is_panic() { WriteError::Panicked } else { WriteError::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_that_panics_tells_no_data() {
        let text = String::from("CANARY");
        let change = async move {
            assert!(text.is_empty(), "{text}");
            Ok::<_, WriteError>(())
        };
        let error = to_the_end(change).await.unwrap_err();
        assert!(matches!(error, WriteError::Panicked), "{error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
