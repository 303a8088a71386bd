use std::time::Duration;

use url::Url;

use super::{
    raw::{RawLlm, nearest},
    seconds,
};

/// A known kind of model server, with what it takes to reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Lepton,
    OpenAi,
    Ollama,
    LlamaCpp,
    Custom,
}

impl Provider {
    pub const ALL: [Self; 5] = [Self::Lepton, Self::OpenAi, Self::Ollama, Self::LlamaCpp, Self::Custom];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lepton => "lepton",
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llamacpp",
            Self::Custom => "custom",
        }
    }

    /// Address, model and the environment variable that holds the key. `None`: the person has to say.
    fn preset(self) -> (Option<&'static str>, Option<&'static str>, Option<&'static str>) {
        match self {
            // The address of the tutorial. It is reported shut down since the company became NVIDIA DGX Cloud Lepton;
            // a dedicated endpoint is reached with `base_url` and `api_key_env = "LEPTON_WORKSPACE_TOKEN"`.
            Self::Lepton => (Some("https://mistral-7b.lepton.run/api/v1/"), Some("mistral-7b"), Some("LEPTONAI_TOKEN")),
            Self::OpenAi => (Some("https://api.openai.com/v1/"), Some("gpt-4o-mini"), Some("OPENAI_API_KEY")),
            Self::Ollama => (Some("http://localhost:11434/v1/"), Some("llama3.2"), None),
            // llama.cpp's server answers with the one model it was started with, whatever the name.
            Self::LlamaCpp => (Some("http://localhost:8080/v1/"), Some("default"), None),
            Self::Custom => (None, None, None),
        }
    }
}

/// The model that answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    pub provider: Provider,
    /// Ends with `/`, so that `chat/completions` can be joined to it.
    pub base_url: Url,
    pub model: String,
    /// Name of the environment variable that holds the key; the key itself is never kept here.
    pub api_key_env: Option<String>,
    pub temperature: Option<f32>,
    /// Most tokens that an answer may have; the server's own limit when `None`.
    pub max_tokens: Option<u32>,
    /// How long the first token of an answer may take: local servers load their model first.
    pub first_token_timeout: Duration,
    /// How long the stream may give nothing at all between two bytes.
    pub idle_timeout: Duration,
}

impl Llm {
    pub(super) fn from_raw(raw: RawLlm) -> Result<Option<Self>, (&'static str, String)> {
        let named = raw.provider.as_deref().unwrap_or("none");
        if named == "none" {
            return Ok(None);
        }
        let Some(provider) = Provider::ALL.into_iter().find(|p| p.name() == named) else {
            let names: Vec<&str> = Provider::ALL.into_iter().map(Provider::name).collect();
            let advice = match nearest(named, &names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("use none, {}", names.join(", ")),
            };
            return Err(("llm.provider", format!("no such provider: {named:?}; {advice}")));
        };
        let (base_url, model, api_key_env) = provider.preset();
        let needed = || format!("provider \"{}\" needs it", provider.name());
        let filled = |value: Option<String>| value.filter(|text| !text.is_empty());
        let base_url =
            filled(raw.base_url).or(base_url.map(str::to_owned)).ok_or_else(|| ("llm.base_url", needed()))?;
        let model = filled(raw.model).or(model.map(str::to_owned)).ok_or_else(|| ("llm.model", needed()))?;
        Ok(Some(Self {
            provider,
            base_url: parse_base_url(&base_url)?,
            model,
            api_key_env: match raw.api_key_env {
                // An empty name says: send no key, whatever the preset has.
                Some(name) => Some(name).filter(|name| !name.is_empty()),
                None => api_key_env.map(str::to_owned),
            },
            temperature: match raw.temperature {
                Some(t) if !(0.0..=2.0).contains(&t) => {
                    return Err(("llm.temperature", format!("{t} is not in 0 to 2")));
                }
                t => t,
            },
            max_tokens: match raw.max_tokens {
                Some(0) => return Err(("llm.max_tokens", "0 leaves no room for an answer".to_owned())),
                n => n,
            },
            first_token_timeout: seconds("llm.first_token_timeout_s", raw.first_token_timeout_s, 300)?,
            idle_timeout: seconds("llm.idle_timeout_s", raw.idle_timeout_s, 60)?,
        }))
    }
}

fn parse_base_url(text: &str) -> Result<Url, (&'static str, String)> {
    let fail = |message: String| ("llm.base_url", message);
    // The text itself is not repeated: it may hold a password.
    let mut url = Url::parse(text).map_err(|error| fail(format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(fail("it must begin with http:// or https:// and name a host".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(fail(
            "it must hold no user, password or query; name the key's variable with api_key_env".to_owned(),
        ));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}
