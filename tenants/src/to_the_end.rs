//! Changes are carried to their end.

use fangshi_database::WriteError;

/// Runs a change in a task of its own. A caller that gives up (an HTTP client that hangs up) after the write was queued
/// cannot stop it, so it must not stop what follows the commit either: memory would show another state than the store.
pub(crate) async fn to_the_end<R, E>(change: impl Future<Output = Result<R, E>> + Send + 'static) -> Result<R, E>
where
    R: Send + 'static,
    E: From<WriteError> + Send + 'static,
{
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(ended) if ended.is_panic() => Err(WriteError::Panicked.into()),
        Err(_) => Err(WriteError::Closed.into()),
    }
}
