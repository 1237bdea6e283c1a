//! Plain text of an object: ranged reads of one version, unpacked on the way.

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes};
use rowproof_core::block::Limits;
use rowproof_core::ids::JobId;
use rowproof_core::input::{Codec, Inflate};
use rowproof_core::ledger::JobFacts;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::plan::{Plan, PlanKind};
use tokio::runtime::Handle;

use crate::app::App;
use crate::aws::error::AwsError;
use crate::error::StepError;
use crate::error::joined;

/// Text of an object from some byte on. Pulled by the worker's thread, block by block; the kernel's
/// socket buffer reads ahead meanwhile.
#[derive(Debug)]
pub(crate) struct TextSource {
    runtime: Handle,
    body: Option<ByteStream>,
    piece: Bytes,
    /// The decoder holds more text for the bytes it has taken.
    pending: bool,
    ended: bool,
    inflate: Option<Inflate>,
    /// Text that was unpacked beyond what was asked for so far.
    ahead: Vec<u8>,
    /// Bytes of text left before it counts as ended; `None`: up to the end of the object.
    left: Option<u64>,
    uri: String,
    job: JobId,
}

impl TextSource {
    /// Bytes `[start, end)` as they are stored.
    pub(crate) async fn range(
        app: &App,
        facts: &JobFacts,
        start: u64,
        end: u64,
    ) -> Result<TextSource, StepError> {
        let body = match start < end {
            true => Some(open(app, facts, start, end).await?),
            false => None,
        };
        Ok(TextSource {
            runtime: Handle::current(),
            body,
            piece: Bytes::new(),
            pending: false,
            ended: false,
            inflate: None,
            ahead: Vec::new(),
            left: None,
            uri: facts.object.uri(),
            job: facts.job.clone(),
        })
    }

    /// The whole object, unpacked and in UTF-8.
    pub(crate) async fn unpacked(
        app: &App,
        facts: &JobFacts,
        pipeline: &Pipeline,
        codec: Codec,
        limits: &Limits,
    ) -> Result<TextSource, StepError> {
        let mut source = TextSource::range(app, facts, 0, facts.object.size).await?;
        let inflate = Inflate::new(codec, &pipeline.source.encoding, limits);
        source.inflate = Some(inflate.map_err(|error| refuse(&source.uri, error))?);
        Ok(source)
    }

    /// Text of a planned object in bytes `[start, end)`; without an end, up to the end of the object.
    pub(crate) async fn planned(
        app: &App,
        facts: &JobFacts,
        pipeline: &Pipeline,
        plan: &Plan,
        start: u64,
        end: Option<u64>,
    ) -> Result<TextSource, StepError> {
        if plan.kind == PlanKind::Ranges {
            let end = end.unwrap_or(facts.object.size);
            return TextSource::range(app, facts, start, end).await;
        }
        let (limits, length) = (&app.limits, end.map(|end| end - start));
        let mut text = TextSource::unpacked(app, facts, pipeline, plan.codec, limits).await?;
        let block_bytes = limits.block_bytes;
        let entered = tokio::task::spawn_blocking(move || {
            text.enter(start, length, block_bytes)?;
            Ok(text)
        });
        joined(entered.await)?
    }

    /// Appends text to `block` until it holds `want` bytes or more; `true` when the text has ended.
    /// Blocks.
    pub(crate) fn fill(&mut self, block: &mut Vec<u8>, want: usize) -> Result<bool, StepError> {
        block.append(&mut self.ahead);
        let before = block.len();
        let Some(left) = self.left else { return self.pull(block, want) };
        // What came ahead was counted when the text was entered.
        let end = before.saturating_add(usize::try_from(left).unwrap_or(usize::MAX));
        let ended = self.pull(block, want.min(end))?;
        if block.len() < end && ended {
            return Err(self.shorter());
        }
        block.truncate(end);
        self.left = Some(left - (block.len() - before) as u64);
        Ok(self.left == Some(0))
    }

    fn pull(&mut self, block: &mut Vec<u8>, want: usize) -> Result<bool, StepError> {
        while block.len() < want {
            if self.piece.is_empty() && !self.pending && !self.next_piece()? {
                return self.end(block);
            }
            match &mut self.inflate {
                None => {
                    let take = self.piece.len().min(want - block.len());
                    block.extend_from_slice(self.piece.get(..take).unwrap_or(&[]));
                    self.piece.advance(take);
                }
                Some(inflate) => {
                    let mut input: &[u8] = &self.piece;
                    let pending = inflate.push(&mut input, block);
                    self.pending = pending.map_err(|error| refuse(&self.uri, error))?;
                    let left = input.len();
                    self.piece.advance(self.piece.len() - left);
                }
            }
        }
        Ok(false)
    }

    fn next_piece(&mut self) -> Result<bool, StepError> {
        let Some(body) = &mut self.body else { return Ok(false) };
        let next = self.runtime.block_on(body.try_next());
        let next = next.map_err(|error| cut_off(&self.uri, &error))?;
        match next {
            Some(piece) => self.piece = piece,
            None => self.body = None,
        }
        Ok(self.body.is_some())
    }

    /// What the decoder still held back; its checks of length and checksum are made here.
    fn end(&mut self, block: &mut Vec<u8>) -> Result<bool, StepError> {
        if let Some(inflate) = self.inflate.as_mut().filter(|_| !self.ended) {
            self.ended = true;
            inflate.finish(block).map_err(|error| refuse(&self.uri, error))?;
        }
        Ok(true)
    }

    /// Bytes of the object that were unpacked so far.
    pub(crate) fn packed_bytes(&self) -> u64 {
        self.inflate.as_ref().map_or(0, Inflate::compressed_bytes)
    }

    /// Drops so many bytes of text from the beginning. Behind them the text ends after `length` bytes,
    /// or with the object.
    fn enter(
        &mut self,
        mut skip: u64,
        length: Option<u64>,
        block_bytes: usize,
    ) -> Result<(), StepError> {
        let mut block = Vec::new();
        loop {
            let want = usize::try_from(skip).unwrap_or(usize::MAX).min(block_bytes);
            let ended = self.pull(&mut block, want)?;
            let got = u64::try_from(block.len()).unwrap_or(u64::MAX);
            if got >= skip {
                block.drain(..want);
                break;
            }
            if ended {
                return Err(self.shorter());
            }
            skip -= got;
            block.clear();
        }
        if let Some(length) = length {
            block.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            self.left = Some(length - block.len() as u64);
        }
        self.ahead = block;
        Ok(())
    }

    fn shorter(&self) -> StepError {
        StepError::Broken(format!("{} of job {} unpacks differently now", self.uri, self.job))
    }
}

pub(crate) async fn open(
    app: &App,
    facts: &JobFacts,
    start: u64,
    end: u64,
) -> Result<ByteStream, StepError> {
    match app.store.read(&facts.object, start, end).await {
        Ok(body) => Ok(body),
        Err(error) if error.is_precondition() || error.is_not_found() => {
            Err(StepError::SourceChanged { uri: facts.object.uri(), job: facts.job.clone() })
        }
        Err(error) => Err(error.into()),
    }
}

/// An input that cannot be unpacked fails the object.
pub(crate) fn refuse(uri: &str, error: rowproof_core::input::InputError) -> StepError {
    StepError::object(error.code(), format!("{uri}: {error}"))
}

/// The bytes of an object ended before they were all there.
pub(crate) fn cut_off(uri: &str, error: &dyn std::error::Error) -> StepError {
    StepError::Aws(AwsError {
        operation: format!("GetObject {uri}"),
        code: "body cut off".into(),
        status: 0,
        message: error.to_string(),
    })
}
