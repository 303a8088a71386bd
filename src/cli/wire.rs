use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::{UsageError, args::Args, output::Output, progress::shown};
use crate::{
    artifacts::{Artifacts, ModelSpec},
    chat::{ChatModel, OpenAiModel, OpenAiOptions},
    config::{Config, Llm, Paths},
    domain::{CollectionInfo, Mode, Progress, Secret, SourceSpec, Stage},
    embed::{Embedder, FastEmbedder},
    rag::{self, IngestJob, Templates},
    store::{SqliteStore, StoreError, VectorStore},
};

/// Makes the concrete parts from the configuration, each when it is first needed.
pub struct Wiring {
    pub config: Config,
    pub paths: Paths,
    /// `--collection`, or the configuration's.
    named: Option<String>,
    store: OnceLock<Arc<dyn VectorStore>>,
}

impl Wiring {
    pub fn new(args: &Args) -> anyhow::Result<Self> {
        let paths = Paths::find()?;
        let config = Config::load(&paths, args.config.as_ref())?;
        if let Some(store) = args.store.as_deref()
            && store != "embedded"
        {
            return Err(UsageError(format!(
                "there is no store {store:?}; hint: use --store embedded, or leave it out"
            ))
            .into());
        }
        let named = args.collection.clone().or_else(|| config.collection.clone());
        Ok(Self { config, paths, named, store: OnceLock::new() })
    }

    pub fn store(&self) -> anyhow::Result<Arc<dyn VectorStore>> {
        if let Some(store) = self.store.get() {
            return Ok(Arc::clone(store));
        }
        let store: Arc<dyn VectorStore> = Arc::new(SqliteStore::open(&self.paths.collections())?);
        Ok(Arc::clone(self.store.get_or_init(|| store)))
    }

    /// The collection that was asked for by name.
    pub fn named_collection(&self) -> Option<String> {
        self.named.clone()
    }

    /// The collection to use: the one named, else the person's documents where there are some, else the handbook.
    pub async fn collection_name(&self, store: &dyn VectorStore) -> Result<String, StoreError> {
        if let Some(name) = &self.named {
            return Ok(name.clone());
        }
        let own = store.collection(CollectionInfo::DEFAULT).await?.is_some_and(|info| info.passages > 0);
        Ok(if own { CollectionInfo::DEFAULT } else { CollectionInfo::HANDBOOK }.to_owned())
    }

    /// The collection to search, and the model where the mode needs one. Indexes the handbook first where that is
    /// what will be searched and it isn't there yet.
    pub async fn ready(
        &self,
        mode: Mode,
        output: &Output,
        cancel: &CancellationToken,
    ) -> anyhow::Result<(CollectionInfo, Option<Arc<dyn Embedder>>)> {
        let store = self.store()?;
        let name = self.collection_name(store.as_ref()).await?;
        let progress = Arc::new(Progress::default());
        // An explicit dense search does not fall back, so its model's error is the answer.
        let embedder = match mode {
            Mode::Keyword => None,
            Mode::Dense => {
                Some(shown(output, &progress, self.embedder(true, Arc::clone(&progress), cancel.clone())).await?)
            }
            Mode::Hybrid => shown(output, &progress, self.embedder_or_notice(false, &progress, output, cancel)).await?,
        };
        if name == CollectionInfo::HANDBOOK && self.handbook_is_wanted(store.as_ref(), embedder.is_some()).await? {
            output.notice("indexing the handbook first");
            let job = IngestJob {
                store: Arc::clone(&store),
                embedder: embedder.clone(),
                collection: name.clone(),
                sources: vec![SourceSpec::handbook()],
                force: false,
            };
            let indexed = shown(output, &progress, rag::ingest(&job, &progress, cancel)).await;
            if let Err(error) = indexed {
                // What is there already can be searched as it is, also where nothing can be written.
                let some = store.collection(&name).await?.is_some_and(|info| info.passages > 0);
                if cancel.is_cancelled() || !some {
                    return Err(error.into());
                }
                output.notice(&format!("note: the handbook was not brought up to date: {error}"));
            }
        }
        match store.collection(&name).await? {
            Some(info) if info.passages > 0 => Ok((info, embedder)),
            Some(_) => Err(rag::RagError::Empty { collection: name }.into()),
            None => Err(StoreError::NoCollection { name, store: store.describe() }.into()),
        }
    }

    /// Whether the handbook's index has to be made or brought up to date. Without a model only an empty one is filled:
    /// otherwise each keyword search would find its vectors missing and index anew.
    async fn handbook_is_wanted(&self, store: &dyn VectorStore, with_model: bool) -> anyhow::Result<bool> {
        if with_model {
            return Ok(rag::needs_index(store, CollectionInfo::HANDBOOK).await?);
        }
        Ok(store.collection(CollectionInfo::HANDBOOK).await?.is_none_or(|info| info.passages == 0))
    }

    /// Gets and loads the embedding model; `retry` as in [`Artifacts`].
    pub async fn embedder(
        &self,
        retry: bool,
        progress: Arc<Progress>,
        cancel: CancellationToken,
    ) -> anyhow::Result<Arc<dyn Embedder>> {
        prepare_model(self.config.clone(), self.paths.clone(), retry, progress, cancel).await
    }

    /// The embedding model, or `None` with a notice of what was tried: keyword search works without.
    pub async fn embedder_or_notice(
        &self,
        retry: bool,
        progress: &Arc<Progress>,
        output: &Output,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
        match self.embedder(retry, Arc::clone(progress), cancel.clone()).await {
            Ok(embedder) => Ok(Some(embedder)),
            Err(error) if cancel.is_cancelled() => Err(error),
            // A name that the catalogue does not have is a mistake to mend, not a missing network.
            Err(error) if error.is::<UsageError>() => Err(error),
            Err(error) => {
                output.notice(&format!("note: no embedding model, so keyword search only\n{error:#}"));
                Ok(None)
            }
        }
    }

    /// The configured chat model.
    pub fn chat(&self) -> anyhow::Result<Option<Arc<dyn ChatModel>>> {
        self.config.llm.as_ref().map(chat_model).transpose()
    }

    pub fn templates(&self) -> Templates {
        let prompt = self.config.prompt.clone();
        Templates { system: prompt.system, user: prompt.user, citations: prompt.citations }
    }
}

/// Gets ONNX Runtime and the model's files, then loads them on a thread of its own.
pub async fn prepare_model(
    config: Config,
    paths: Paths,
    retry: bool,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> anyhow::Result<Arc<dyn Embedder>> {
    let artifacts = Artifacts { retry, ..artifacts(&config, &paths) };
    let spec = model_spec(&config)?;
    let runtime = artifacts.onnx_runtime(&progress, &cancel).await?;
    let files = artifacts.embedding_model(&spec, &progress, &cancel).await?;
    progress.set_stage(Stage::Preparing);
    let sessions = config.embed.sessions;
    let loaded = tokio::task::spawn_blocking(move || FastEmbedder::load(&files, &runtime, sessions)).await??;
    Ok(Arc::new(loaded))
}

pub fn artifacts(config: &Config, paths: &Paths) -> Artifacts {
    let artifacts = Artifacts::from_env(paths.cache.clone());
    let onnx_runtime = config.embed.onnxruntime.clone().or(artifacts.onnx_runtime.clone());
    Artifacts { onnx_runtime, ..artifacts }
}

pub fn model_spec(config: &Config) -> anyhow::Result<ModelSpec> {
    let embed = &config.embed;
    ModelSpec::find(&embed.model, embed.pooling, embed.max_tokens).map_err(|error| UsageError(error.to_string()).into())
}

/// The key that a model is asked with, from the environment.
pub fn api_key(llm: &Llm) -> Option<Secret> {
    Secret::new(&std::env::var(llm.api_key_env.as_ref()?).ok()?)
}

pub fn chat_model(llm: &Llm) -> anyhow::Result<Arc<dyn ChatModel>> {
    let options = OpenAiOptions {
        provider: llm.provider.name().to_owned(),
        base_url: llm.base_url.clone(),
        model: llm.model.clone(),
        api_key: api_key(llm),
        key_source: llm.api_key_env.clone(),
        temperature: llm.temperature,
        max_tokens: llm.max_tokens,
        idle_timeout: llm.idle_timeout,
        first_token_timeout: llm.first_token_timeout,
    };
    Ok(Arc::new(OpenAiModel::new(options)?))
}
