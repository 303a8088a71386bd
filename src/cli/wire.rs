use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    UsageError,
    args::Args,
    engine::{self, Engine},
    output::Output,
    progress::shown,
};
use crate::{
    artifacts::{Artifacts, ModelSpec},
    chat::{ChatModel, OpenAiModel, OpenAiOptions},
    config::{Config, ConfigError, Llm, Paths, Place, Store},
    domain::{CollectionInfo, Mode, Progress, SearchSettings, Secret, SourceSpec, Stage},
    embed::{Embedder, FastEmbedder},
    rag::{self, IngestJob, Templates},
    store::{StoreError, VectorStore, milvus::LiteProgram},
    ui::{KeyError, Keymap},
};

/// Makes the concrete parts from the configuration, each when it is first needed.
pub struct Wiring {
    pub config: Config,
    pub paths: Paths,
    /// Of everything that is got before the work itself can begin: models, Milvus Lite.
    pub progress: Arc<Progress>,
    cancel: CancellationToken,
    /// `--collection`, or the configuration's.
    named: Option<String>,
    engine: OnceLock<Engine>,
    embedder: OnceCell<Arc<dyn Embedder>>,
}

impl Wiring {
    /// With what the command line and the environment say otherwise than the configuration. `cancel` ends whatever is
    /// being got.
    pub fn new(args: &Args, cancel: &CancellationToken) -> anyhow::Result<Self> {
        let paths = Paths::find()?;
        let config = configuration(args, &paths)?;
        let named = args.collection.clone().or_else(|| config.collection.clone());
        Ok(Self {
            config,
            paths,
            progress: Arc::default(),
            cancel: cancel.clone(),
            named,
            engine: OnceLock::new(),
            embedder: OnceCell::new(),
        })
    }

    /// As if this collection had been asked for by name.
    pub fn with_collection(self, name: String) -> Self {
        Self { named: Some(name), ..self }
    }

    /// The store that is used.
    pub fn engine(&self) -> anyhow::Result<&Engine> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::new(&self.config.store, &self.paths, self.lite_program())?;
        Ok(self.engine.get_or_init(|| engine))
    }

    pub fn store(&self) -> anyhow::Result<Arc<dyn VectorStore>> {
        Ok(self.engine()?.store())
    }

    /// The store, to be read from: a Milvus Lite whose file is not there is a mistyped name, and is not made.
    pub fn store_to_read(&self) -> anyhow::Result<Arc<dyn VectorStore>> {
        must_be_there(&self.config.store)?;
        self.store()
    }

    /// Another store than the one that is used, for as long as the returned engine lives.
    pub fn other_engine(&self, store: &Store) -> anyhow::Result<Engine> {
        Engine::new(store, &self.paths, self.lite_program())
    }

    pub fn lite_program(&self) -> LiteProgram {
        engine::lite_program(artifacts(&self.config, &self.paths), &self.progress, &self.cancel)
    }

    /// Whether the store is this program's own, so that the handbook is indexed into it by itself. Somebody's Milvus is
    /// not filled with it.
    pub fn keeps_handbook(&self) -> bool {
        self.config.store.place == Place::Embedded
    }

    /// The collection that was asked for by name.
    pub fn named_collection(&self) -> Option<String> {
        self.named.clone()
    }

    /// The collection to use: the one named, else the person's documents; in a store of our own the handbook where there
    /// are none.
    pub async fn collection_name(&self, store: &dyn VectorStore) -> Result<String, StoreError> {
        self.collection_where(store, |own| own.passages > 0).await
    }

    /// The collection that an ingest of what it was made from is for: also one that lost all its documents.
    pub async fn collection_to_index(&self, store: &dyn VectorStore) -> Result<String, StoreError> {
        self.collection_where(store, |own| own.passages > 0 || !own.sources.is_empty()).await
    }

    async fn collection_where(
        &self,
        store: &dyn VectorStore,
        is_meant: impl Fn(&CollectionInfo) -> bool,
    ) -> Result<String, StoreError> {
        if let Some(name) = &self.named {
            return Ok(name.clone());
        }
        let own =
            !self.keeps_handbook() || store.collection(CollectionInfo::DEFAULT).await?.as_ref().is_some_and(is_meant);
        Ok(if own { CollectionInfo::DEFAULT } else { CollectionInfo::HANDBOOK }.to_owned())
    }

    /// The collection to search, and the model where the mode needs one. Indexes the handbook first where that is
    /// what will be searched and it isn't there yet.
    pub async fn ready(
        &self,
        settings: &SearchSettings,
        output: &Output,
        cancel: &CancellationToken,
    ) -> anyhow::Result<(CollectionInfo, Option<Arc<dyn Embedder>>)> {
        let store = self.store_to_read()?;
        let progress = &self.progress;
        let name = shown(output, progress, self.collection_name(store.as_ref())).await?;
        // Before a model is got for a collection that is not there.
        let known = match self.keeps_handbook() {
            true => None,
            false => Some(shown(output, progress, self.filled(store.as_ref(), &name)).await?),
        };
        // An explicit dense search does not fall back, so its model's error is the answer.
        let embedder = match settings.mode {
            _ if !settings.uses_model() => None,
            Mode::Dense => Some(shown(output, progress, self.embedder(true, cancel)).await?),
            Mode::Hybrid | Mode::Keyword => {
                shown(output, progress, self.embedder_or_notice(false, output, cancel)).await?
            }
        };
        let is_handbook = self.keeps_handbook() && name == CollectionInfo::HANDBOOK;
        if is_handbook && self.handbook_is_wanted(store.as_ref(), embedder.is_some()).await? {
            output.notice("indexing the handbook first");
            let job = IngestJob {
                store: Arc::clone(&store),
                embedder: embedder.clone(),
                collection: name.clone(),
                sources: vec![SourceSpec::handbook()],
                force: false,
                shard: None,
            };
            let indexed = shown(output, progress, rag::ingest(&job, progress, &Arc::default(), cancel)).await;
            if let Err(error) = indexed {
                // What is there already can be searched as it is, also where nothing can be written.
                let some = store.collection(&name).await?.is_some_and(|info| info.passages > 0);
                if cancel.is_cancelled() || !some {
                    return Err(error.into());
                }
                output.notice(&format!("note: the handbook was not brought up to date: {error}"));
            }
        }
        match known {
            Some(info) => Ok((info, embedder)),
            None => Ok((self.filled(store.as_ref(), &name).await?, embedder)),
        }
    }

    /// A collection that holds something.
    async fn filled(&self, store: &dyn VectorStore, name: &str) -> anyhow::Result<CollectionInfo> {
        match store.collection(name).await? {
            Some(info) if info.passages > 0 => Ok(info),
            Some(_) => Err(rag::RagError::Empty { collection: name.to_owned() }.into()),
            None => Err(StoreError::NoCollection { name: name.to_owned(), store: store.describe() }.into()),
        }
    }

    /// Whether the handbook's index has to be made or brought up to date. Without a model only an empty one is filled:
    /// otherwise each keyword search would find its vectors missing and index anew.
    async fn handbook_is_wanted(&self, store: &dyn VectorStore, with_model: bool) -> anyhow::Result<bool> {
        if with_model {
            return Ok(rag::needs_index(store, CollectionInfo::HANDBOOK, true).await?);
        }
        Ok(store.collection(CollectionInfo::HANDBOOK).await?.is_none_or(|info| info.passages == 0))
    }

    /// Gets and loads the embedding model, once; `retry` as in [`Artifacts`].
    pub async fn embedder(&self, retry: bool, cancel: &CancellationToken) -> anyhow::Result<Arc<dyn Embedder>> {
        let (config, paths, progress) = (self.config.clone(), self.paths.clone(), Arc::clone(&self.progress));
        let prepare = || prepare_model(config, paths, retry, progress, cancel.clone());
        let made = self.embedder.get_or_try_init(async || Ok(Arc::new(prepare().await?) as Arc<dyn Embedder>)).await;
        made.map(Arc::clone)
    }

    /// The embedding model, or `None` with a notice of what was tried: keyword search works without.
    pub async fn embedder_or_notice(
        &self,
        retry: bool,
        output: &Output,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Option<Arc<dyn Embedder>>> {
        match self.embedder(retry, cancel).await {
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

/// The local time with its offset, as in RFC 3339: `2026-01-31T17:05:00+01:00`.
pub fn now() -> String {
    jiff::ZonedDateTime::now().strftime("%FT%T%:z").to_string()
}

/// The configuration that holds, with the store that the command line or the environment names.
pub fn configuration(args: &Args, paths: &Paths) -> anyhow::Result<Config> {
    let config = Config::load(paths, args.config.as_ref())?;
    keymap(&config).map_err(|error| {
        ConfigError::value(paths, args.config.as_ref(), &format!("keys.{}", error.command), &error.message)
    })?;
    let store = engine::chosen(args, &config)?;
    Ok(Config { store, ..config })
}

/// The keys of the application: the usual ones, and what is configured otherwise.
pub fn keymap(config: &Config) -> Result<Keymap, KeyError> {
    Keymap::new(config.keys.iter().map(|(name, keys)| (name.as_str(), keys.as_slice())))
}

/// A Milvus Lite that is to be read from has a file.
pub fn must_be_there(store: &Store) -> anyhow::Result<()> {
    match &store.place {
        Place::Lite(file) if !file.exists() => {
            let file = file.display();
            anyhow::bail!("there is no Milvus Lite file {file}; hint: `askdocs ingest PATH --store {file}` makes one")
        }
        Place::Embedded | Place::Lite(_) | Place::Server(_) => Ok(()),
    }
}

/// Gets ONNX Runtime and the model's files, then loads them on a thread of its own.
pub async fn prepare_model(
    config: Config,
    paths: Paths,
    retry: bool,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> anyhow::Result<FastEmbedder> {
    let artifacts = Artifacts { retry, ..artifacts(&config, &paths) };
    let spec = model_spec(&config)?;
    let runtime = artifacts.onnx_runtime(&progress, &cancel).await?;
    let files = artifacts.embedding_model(&spec, &progress, &cancel).await?;
    progress.set_stage(Stage::Preparing);
    let sessions = config.embed.sessions;
    Ok(tokio::task::spawn_blocking(move || FastEmbedder::load(&files, &runtime, sessions)).await??)
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
