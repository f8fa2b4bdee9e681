//! What is told of a panic: words of the source code, and nothing else. A message that was put together at the time may quote
//! what the code worked on (the standard library quotes the text that was cut wrongly), so it stays unsaid.

use std::any::Any;

use tokio::task::JoinError;

/// In place of a message that may quote data.
pub const UNSAID: &str = "(its message is not shown: it may quote data)";

/// What a panic said, if the source code holds it whole.
pub fn panic_words(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(UNSAID)
}

/// How a task ended that gave no answer. Its own text would quote what the panic said.
pub fn ending_of(ended: &JoinError) -> &'static str {
    if ended.is_panic() { "panicked" } else { "was cut off" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_source_code_are_told_and_no_others() {
        assert_eq!(panic_words(&"words of the source code"), "words of the source code");
        assert_eq!(panic_words(&String::from("CANARY")), UNSAID);
        assert_eq!(panic_words(&7), UNSAID);
    }

    #[tokio::test]
    async fn a_task_that_ends_without_an_answer_tells_no_data() {
        let text = String::from("CANARY");
        let ended = tokio::spawn(async move { panic!("{text}") }).await.unwrap_err();
        assert_eq!(ending_of(&ended), "panicked");
        let task = tokio::spawn(std::future::pending::<()>());
        task.abort();
        assert_eq!(ending_of(&task.await.unwrap_err()), "was cut off");
    }
}
