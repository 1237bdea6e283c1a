//! How far the jobs are: a bar on a terminal, nothing otherwise.

use indicatif::{ProgressBar, ProgressStyle};
use rowproof_core::ledger::{Job, JobState, group_count};
use rowproof_io::app::App;

/// The progress of a run.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shown only on a terminal.
    pub(crate) fn new(on_terminal: bool) -> Progress {
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos} rows ({per_sec}, {eta})");
        let bar = on_terminal.then(|| ProgressBar::new(0));
        if let (Some(bar), Ok(style)) = (&bar, style) {
            bar.set_style(style);
        }
        Progress { bar }
    }

    /// Looks at the jobs' chunks.
    pub(crate) async fn update(&mut self, app: &App, jobs: &[Option<Job>]) -> anyhow::Result<()> {
        let Some(bar) = &self.bar else { return Ok(()) };
        let (mut rows, mut done, mut chunks) = (0, 0_u64, 0_u64);
        let mut message = "waiting";
        for job in jobs.iter().flatten() {
            message = match job.state {
                JobState::Planning => "planning",
                JobState::Running => "loading",
                JobState::Committing => "publishing",
                JobState::Blocked
                | JobState::Held
                | JobState::Committed
                | JobState::Superseded
                | JobState::Failed => message,
            };
            let count = job.chunk_count.unwrap_or(0);
            chunks += u64::from(count);
            for group in 0..group_count(count) {
                for (_, chunk) in app.ledger.chunks_of_group(&job.facts.job, group).await? {
                    if let Some(outcome) = chunk.outcome {
                        rows += outcome.rows;
                        done += 1;
                    }
                }
            }
        }
        // What is left is as long as what is done, chunk by chunk.
        let expected = (rows * chunks).checked_div(done).unwrap_or(0);
        bar.set_length(expected.max(rows));
        bar.set_position(rows);
        bar.set_message(message);
        Ok(())
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
