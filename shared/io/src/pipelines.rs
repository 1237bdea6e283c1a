//! Pipeline files: those that new objects are matched against, and the frozen ones that jobs run under.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rowproof_core::check::Contract;
use rowproof_core::names;
use rowproof_core::pipeline::{self, KeyPattern, Pipeline, Route};
use rowproof_core::pipeline_file;
use rowproof_core::time::EpochSeconds;

use crate::aws::store::Store;
use crate::clock::Clock;
use crate::error::StepError;
use crate::settings::{Settings, read_env};

/// Seconds after which the pipeline files are read again.
const FRESH_SECONDS: i64 = 60;

/// A pipeline ready to run.
#[derive(Debug)]
pub struct Ready {
    /// As parsed.
    pub pipeline: Arc<Pipeline>,
    /// As compiled.
    pub contract: Arc<Contract>,
    /// Hash of the parsed form.
    pub sha256: String,
}

impl Ready {
    /// Compiles a parsed pipeline.
    pub fn compile(pipeline: Pipeline) -> Result<Ready, StepError> {
        let contract = Contract::compile(&pipeline).map_err(|problems| {
            let texts: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
            StepError::Pipeline(format!("pipeline {}: {}", pipeline.name, texts.join("; ")))
        })?;
        Ok(Ready {
            sha256: pipeline.sha256(),
            contract: Arc::new(contract),
            pipeline: Arc::new(pipeline),
        })
    }
}

/// Which pipeline an object belongs to.
#[derive(Debug)]
pub enum Matched {
    /// This one, with these captures.
    One(Arc<Ready>, BTreeMap<String, String>),
    /// None.
    None,
    /// Its name says that it is no data.
    Skipped {
        /// Name of the pipeline that matches.
        pipeline: String,
        /// What it is.
        what: &'static str,
    },
}

#[derive(Debug, Default)]
struct Cache {
    read_at: Option<EpochSeconds>,
    live: Vec<Arc<Ready>>,
    problems: Vec<String>,
    frozen: HashMap<String, Arc<Ready>>,
}

/// Reads and caches pipeline files of the output bucket.
#[derive(Debug)]
pub struct Pipelines {
    store: Store,
    bucket: String,
    prefix: String,
    match_directory: bool,
    clock: Clock,
    cache: Mutex<Cache>,
}

impl Pipelines {
    /// The pipeline files that the settings name: `*.toml` as people write them, and `*.json`, the
    /// parsed form.
    pub fn new(store: Store, settings: &Settings, clock: Clock) -> Pipelines {
        Pipelines {
            store,
            bucket: settings.output_bucket.clone(),
            prefix: settings.pipelines.clone(),
            match_directory: settings.match_directory,
            clock,
            cache: Mutex::default(),
        }
    }

    /// The pipeline whose `match` fits the key. Two that fit are an error; so is none while a
    /// pipeline file is broken, since the key might be that one's.
    pub async fn matching(&self, key: &str) -> Result<Matched, StepError> {
        let (live, problems) = self.live().await?;
        let pipelines: Vec<_> = live.iter().map(|ready| ready.pipeline.clone()).collect();
        let found = |pipeline: &Arc<Pipeline>| {
            live.iter().find(|ready| Arc::ptr_eq(&ready.pipeline, pipeline)).cloned()
        };
        match pipeline::route(&pipelines, key) {
            Route::One { pipeline, captures } => {
                Ok(found(&pipeline).map_or(Matched::None, |ready| Matched::One(ready, captures)))
            }
            Route::Skipped { pipeline, what } => Ok(Matched::Skipped { pipeline, what }),
            Route::Ambiguous(names) => Err(StepError::Pipeline(format!(
                "{key} matches more than one pipeline: {}; narrow their source.match",
                names.join(", ")
            ))),
            Route::NoMatch if !problems.is_empty() => Err(StepError::Pipeline(format!(
                "{key} matches no pipeline, but some cannot be read: {}",
                problems.join("; ")
            ))),
            Route::NoMatch if self.match_directory => by_directory(&live, key),
            Route::NoMatch => Ok(Matched::None),
        }
    }

    /// Every pipeline that new objects are matched against.
    pub async fn stored(&self) -> Result<Vec<Arc<Ready>>, StepError> {
        Ok(self.live().await?.0)
    }

    async fn live(&self) -> Result<(Vec<Arc<Ready>>, Vec<String>), StepError> {
        let now = self.clock.now();
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.read_at.is_some_and(|read| now < read.plus(FRESH_SECONDS)) {
                return Ok((cache.live.clone(), cache.problems.clone()));
            }
        }
        let (live, problems) = self.read_all().await?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.read_at = Some(now);
        cache.live.clone_from(&live);
        cache.problems.clone_from(&problems);
        Ok((live, problems))
    }

    async fn read_all(&self) -> Result<(Vec<Arc<Ready>>, Vec<String>), StepError> {
        let mut texts = BTreeMap::new();
        for key in self.store.list(&self.bucket, &self.prefix).await? {
            // The prefix may be the whole key of the only file.
            let name = key.strip_prefix(&self.prefix).filter(|name| !name.is_empty());
            let name = name.unwrap_or(&key).to_owned();
            if let Some(bytes) = self.store.get(&self.bucket, &key).await? {
                texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        let mut live = vec![];
        let mut problems = vec![];
        for (name, text) in &texts {
            match parse(name, text, &texts) {
                Some(Ok(pipeline)) => match Ready::compile(pipeline) {
                    Ok(ready) => live.push(Arc::new(ready)),
                    Err(error) => problems.push(error.to_string()),
                },
                Some(Err(problem)) => problems.push(problem),
                None => {}
            }
        }
        Ok((live, problems))
    }

    /// Stores the pipeline under its hash, so that jobs can run under it whatever happens to the file.
    pub async fn freeze(&self, ready: &Arc<Ready>) -> Result<(), StepError> {
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.frozen.contains_key(&ready.sha256) {
                return Ok(());
            }
        }
        let key = names::frozen_pipeline(&ready.sha256);
        let text = Bytes::from(ready.pipeline.to_json());
        self.store.put_new(&self.bucket, &key, text, "pipeline").await?;
        self.remember(ready.clone());
        Ok(())
    }

    /// The pipeline that a job runs under.
    pub async fn frozen(&self, sha256: &str) -> Result<Arc<Ready>, StepError> {
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(ready) = cache.frozen.get(sha256) {
                return Ok(ready.clone());
            }
        }
        let key = names::frozen_pipeline(sha256);
        let bad = |message: String| StepError::BadDocument {
            key: key.clone(),
            what: "pipeline",
            message,
        };
        let bytes = self.store.get(&self.bucket, &key).await?;
        let bytes = bytes.ok_or_else(|| bad("it is not there".into()))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| bad(error.to_string()))?;
        let parsed = Pipeline::from_json(text).map_err(|error| bad(error.to_string()))?;
        let ready = Arc::new(Ready::compile(parsed)?);
        self.remember(ready.clone());
        Ok(ready)
    }

    fn remember(&self, ready: Arc<Ready>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.frozen.insert(ready.sha256.clone(), ready);
    }
}

/// The only pipeline whose `match` begins with the key's directory, for a local `run`.
fn by_directory(live: &[Arc<Ready>], key: &str) -> Result<Matched, StepError> {
    let directory = key.rfind('/').and_then(|slash| key.get(..=slash)).unwrap_or("");
    let fits = |ready: &&Arc<Ready>| {
        KeyPattern::compile(&ready.pipeline.source.pattern)
            .is_ok_and(|pattern| pattern.literal_directory() == directory)
    };
    let found: Vec<_> = live.iter().filter(fits).collect();
    match found.as_slice() {
        [] => Ok(Matched::None),
        [ready] => Ok(match pipeline::skipped_by_name(&ready.pipeline.source.pattern, key) {
            Some(what) => Matched::Skipped { pipeline: ready.pipeline.name.clone(), what },
            None => Matched::One((*ready).clone(), BTreeMap::new()),
        }),
        several => Err(StepError::Pipeline(format!(
            "{key} fits no source.match, and more than one pipeline reads its folder: {}",
            several.iter().map(|ready| ready.pipeline.name.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// Parses one pipeline file; `None` for a file that is none, or only a base of others.
fn parse(
    name: &str,
    text: &str,
    texts: &BTreeMap<String, String>,
) -> Option<Result<Pipeline, String>> {
    if name.ends_with(".json") {
        return Some(Pipeline::from_json(text).map_err(|error| format!("{name}: {error}")));
    }
    // What only others extend is in a folder of its own.
    if !name.ends_with(".toml") || name.contains('/') {
        return None;
    }
    let load = |base: &str| {
        texts.get(base).cloned().ok_or_else(|| format!("{base} is not among the pipeline files"))
    };
    let parsed = pipeline_file::parse(name, text, &load, &read_env);
    Some(parsed.map(|parsed| parsed.pipeline).map_err(|problems| problems.to_string()))
}
