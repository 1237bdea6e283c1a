//! What a replay would do, without writing anything.

use rowproof_core::archive::{self, ArchivedRow};
use rowproof_core::block::Layout;
use rowproof_core::replay::{Candidate, Fate, ReplayRequest, ReplayTally, Replayer};

use super::chunk::{Work, candidates, setup};
use super::{concerned, refusal, selection};
use crate::app::App;
use crate::documents::job::done_chunks;
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;
use crate::text::chunk::refuse_engine;

/// Rows that are shown one by one.
const SAMPLES_MAX: usize = 10;

/// A row that would go through again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its number in the file, from 1.
    pub row_number: i64,
    /// Its text in the archive; `None` where that keeps none.
    pub before: Option<String>,
    /// Its corrected text, with values masked as in the archive; `None` where their place is unknown.
    pub after: Option<String>,
    /// What would become of it.
    pub fate: Fate,
}

/// What a replay would do.
#[derive(Debug)]
pub enum Preview {
    /// This.
    Would {
        /// The figures.
        tally: ReplayTally,
        /// The first rows.
        samples: Vec<Sample>,
    },
    /// It cannot be done, for this reason.
    Refused(String),
}

/// Runs a replay without writing anything.
///
/// # Errors
/// AWS does not answer, or a stored document does not parse.
pub async fn preview_replay(app: &App, request: &ReplayRequest) -> Result<Preview, StepError> {
    let Some(parent) = app.ledger.job(&request.parent).await? else {
        return Ok(Preview::Refused(format!("there is no job {}", request.parent)));
    };
    if let Some(why) = refusal(app, &parent).await? {
        return Ok(Preview::Refused(why));
    }
    let done = done_chunks(app, &parent).await?.unwrap_or_default();
    let (mut all, mut samples) = (ReplayTally::default(), vec![]);
    for chunk in concerned(app, &done, &selection(request)?).await? {
        let work = Work::load(app, parent.clone(), request.clone(), chunk).await?;
        let (candidates, mut tally) = candidates(app, &work).await?;
        let (ready, setup) = (work.ready.clone(), setup(app, &work));
        let room = SAMPLES_MAX.saturating_sub(samples.len());
        let thread = tokio::task::spawn_blocking(move || {
            let replayer = Replayer::new(&ready.pipeline, &ready.contract, &setup);
            let mut replayer = replayer.map_err(refuse_engine)?;
            let mut samples = vec![];
            for candidate in candidates {
                let wanted = samples.len() < room;
                let shown = wanted.then(|| shown(&ready, &setup.layout, &candidate)).flatten();
                let fate = replayer.row(candidate).map_err(refuse_engine)?;
                samples.extend(shown.map(|sample| Sample { fate, ..sample }));
            }
            Ok::<_, StepError>((replayer.finish().map_err(refuse_engine)?, samples))
        });
        let (replayed, some) = joined(thread.await)??;
        tally.note(&replayed);
        all.add(&tally);
        samples.extend(some);
    }
    Ok(Preview::Would { tally: all, samples })
}

/// A row that is tried, with its texts as far as people may see them.
fn shown(ready: &Ready, layout: &Layout, candidate: &Candidate) -> Option<Sample> {
    let Candidate::Tried(row, record) = candidate else { return None };
    let ArchivedRow { row_number, raw_data, .. } = row;
    Some(Sample {
        row_number: *row_number,
        before: raw_data.clone(),
        after: archive::shown(&ready.pipeline, &ready.contract, layout, record),
        fate: Fate::Stays,
    })
}
