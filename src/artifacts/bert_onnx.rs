//! Writes the ONNX graph of a BERT encoder from its published weights.
//!
//! The weights of all-MiniLM-L6-v2 come as safetensors, the runtime wants ONNX, and the graph between the two is small:
//! one embedding node and seven nodes a layer, with ONNX Runtime's own fused operators (`com.microsoft`, version 1;
//! described in its `docs/ContribOperators.md`). The runtime then has nothing left to fuse when it loads.
//!
//! Nothing is copied that need not be: what ONNX lays out as the safetensors file does (embedding tables, biases, norms)
//! is referred to in that file, by offset. Only the matrices of the linear layers, which ONNX wants transposed, go to a
//! second file. The runtime maps both files, so a page of the vocabulary that no text uses is never read.
//!
//! The same input gives the same bytes on every machine. This module knows no paths and does no I/O.

use prost::Message;
use safetensors::{
    SafeTensors,
    tensor::{Dtype, Metadata},
};
use serde::Deserialize;

use super::onnx::{
    Attribute, EXTERNAL, Entry, Extent, FLOAT, Graph, INT32, INT64, Model, Node, OperatorSet, Tensor, Value,
};

/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";
const OUTPUT: &str = "last_hidden_state";
const FLOAT_BYTES: usize = size_of::<f32>();

/// A written encoder.
pub struct Written {
    /// The ONNX file.
    pub graph: Vec<u8>,
    /// The file that the graph calls by the name given as `data_name`.
    pub data: Vec<u8>,
}

/// Why an encoder could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BertError {
    #[error("its config.json is not one of a BERT encoder: {0}")]
    Config(String),
    #[error("its weights are not those of its config.json: {0}")]
    Weights(String),
}

/// The part of `config.json` that shapes the graph.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    layer_norm_eps: f32,
    vocab_size: usize,
    type_vocab_size: usize,
    max_position_embeddings: usize,
}

/// Writes the encoder: inputs `input_ids`, `attention_mask`, `token_type_ids` (int64, `[batch, sequence]`), output
/// `last_hidden_state` (f32, `[batch, sequence, hidden]`).
///
/// # Errors
/// When the weights are not those of a BERT encoder with exact GELU, in 32-bit floats.
pub fn write(
    config_json: &[u8],
    safetensors: &[u8],
    safetensors_name: &str,
    data_name: &str,
) -> Result<Written, BertError> {
    let config: Config = serde_json::from_slice(config_json).map_err(|e| BertError::Config(e.to_string()))?;
    if config.model_type != "bert" || config.hidden_act != "gelu" {
        let found = format!("model_type {:?} with hidden_act {:?}", config.model_type, config.hidden_act);
        return Err(BertError::Config(format!("it says {found}, needed are \"bert\" and \"gelu\"")));
    }
    let (header_len, metadata) =
        SafeTensors::read_metadata(safetensors).map_err(|e| BertError::Weights(e.to_string()))?;
    let mut writer = Writer {
        file: safetensors,
        // The header is its length in 8 bytes, then that many bytes of JSON; the tensors follow.
        tensors_start: 8 + header_len,
        metadata,
        safetensors_name,
        data_name,
        data: Vec::new(),
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    writer.encoder(&config)?;

    let per_token = [Extent::Name("batch".to_owned()), Extent::Name("sequence".to_owned())];
    let mut hidden = per_token.to_vec();
    hidden.push(Extent::Size(config.hidden_size as i64));
    let graph = Graph {
        node: writer.nodes,
        name: "bert".to_owned(),
        initializer: writer.initializers,
        input: ["input_ids", "attention_mask", "token_type_ids"].map(|n| Value::tensor(n, INT64, &per_token)).to_vec(),
        output: vec![Value::tensor(OUTPUT, FLOAT, &hidden)],
    };
    let opset = |domain: &str, version| OperatorSet { domain: domain.to_owned(), version };
    let model = Model {
        ir_version: 8,
        producer_name: "askdocs".to_owned(),
        graph: Some(graph),
        opset_import: vec![opset("", 17), opset(MICROSOFT, 1)],
    };
    Ok(Written { graph: model.encode_to_vec(), data: writer.data })
}

struct Writer<'a> {
    file: &'a [u8],
    /// Offset of the first tensor in the file.
    tensors_start: usize,
    metadata: Metadata,
    safetensors_name: &'a str,
    data_name: &'a str,
    data: Vec<u8>,
    nodes: Vec<Node>,
    initializers: Vec<Tensor>,
}

impl<'a> Writer<'a> {
    fn encoder(&mut self, config: &Config) -> Result<(), BertError> {
        let hidden = config.hidden_size;
        self.node("Cast", "", &["input_ids"], &["ids"], vec![Attribute::int("to", INT32.into())]);
        self.node("Cast", "", &["token_type_ids"], &["types"], vec![Attribute::int("to", INT32.into())]);
        self.node("Cast", "", &["attention_mask"], &["mask"], vec![Attribute::int("to", INT32.into())]);
        for (table, rows) in [
            ("word_embeddings", config.vocab_size),
            ("position_embeddings", config.max_position_embeddings),
            ("token_type_embeddings", config.type_vocab_size),
        ] {
            self.in_place(&format!("embeddings.{table}.weight"), &[rows, hidden])?;
        }
        self.in_place("embeddings.LayerNorm.weight", &[hidden])?;
        self.in_place("embeddings.LayerNorm.bias", &[hidden])?;
        let epsilon = || vec![Attribute::float("epsilon", config.layer_norm_eps)];
        self.node(
            "EmbedLayerNormalization",
            MICROSOFT,
            &[
                "ids",
                "types",
                "embeddings.word_embeddings.weight",
                "embeddings.position_embeddings.weight",
                "embeddings.token_type_embeddings.weight",
                "embeddings.LayerNorm.weight",
                "embeddings.LayerNorm.bias",
            ],
            &["embedded", "unused_mask_index"],
            epsilon(),
        );

        let mut input = "embedded".to_owned();
        for layer in 0..config.num_hidden_layers {
            let at = |part: &str| format!("encoder.layer.{layer}.{part}");
            let output = if layer + 1 == config.num_hidden_layers { OUTPUT.to_owned() } else { at("output") };
            let attention = at("attention.self");
            let parts = ["query", "key", "value"].map(|part| format!("{attention}.{part}"));
            self.transposed(&at("qkv.weight"), &parts.each_ref().map(|p| format!("{p}.weight")), hidden, hidden)?;
            self.joined(&at("qkv.bias"), &parts.each_ref().map(|p| format!("{p}.bias")), hidden)?;
            let heads = vec![Attribute::int("num_heads", config.num_attention_heads as i64)];
            self.node(
                "Attention",
                MICROSOFT,
                &[&input, &at("qkv.weight"), &at("qkv.bias"), "mask"],
                &[&attention],
                heads,
            );

            let projected = at("attention.output.dense");
            self.linear(&attention, &projected, hidden, hidden)?;
            let attended = at("attention.output");
            self.add_and_norm(&projected, &input, &attended, hidden, epsilon())?;

            let intermediate = at("intermediate.dense");
            self.linear(&attended, &intermediate, hidden, config.intermediate_size)?;
            let bias = format!("{intermediate}.bias");
            self.in_place(&bias, &[config.intermediate_size])?;
            self.node("BiasGelu", MICROSOFT, &[&intermediate, &bias], &[&at("gelu")], vec![]);
            self.linear(&at("gelu"), &at("output.dense"), config.intermediate_size, hidden)?;
            self.add_and_norm(&at("output.dense"), &attended, &output, hidden, epsilon())?;
            input = output;
        }
        Ok(())
    }

    /// `output = input x weight`, the weight being the one of the linear layer called `output`, without its bias.
    fn linear(&mut self, input: &str, output: &str, from: usize, to: usize) -> Result<(), BertError> {
        let weight = format!("{output}.weight");
        self.transposed(&weight, std::slice::from_ref(&weight), from, to)?;
        self.node("MatMul", "", &[input, &weight], &[output], vec![]);
        Ok(())
    }

    /// `output = LayerNorm(input + bias + skip)`, with the bias of the linear layer called `input` and the norm beside it.
    fn add_and_norm(
        &mut self,
        input: &str,
        skip: &str,
        output: &str,
        hidden: usize,
        epsilon: Vec<Attribute>,
    ) -> Result<(), BertError> {
        let bias = format!("{input}.bias");
        let norm = input.replace(".dense", ".LayerNorm");
        let (gamma, beta) = (format!("{norm}.weight"), format!("{norm}.bias"));
        for name in [&bias, &gamma, &beta] {
            self.in_place(name, &[hidden])?;
        }
        self.node("SkipLayerNormalization", MICROSOFT, &[input, skip, &gamma, &beta, &bias], &[output], epsilon);
        Ok(())
    }

    fn node(&mut self, op: &str, domain: &str, input: &[&str], output: &[&str], attribute: Vec<Attribute>) {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        self.nodes.push(Node {
            name: format!("{op}:{}", output.first().unwrap_or(&op)),
            input: owned(input),
            output: owned(output),
            op_type: op.to_owned(),
            attribute,
            domain: domain.to_owned(),
        });
    }

    /// A tensor's bytes and their offset in the file.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(&'a [u8], usize), BertError> {
        let info = self.metadata.info(name).ok_or_else(|| BertError::Weights(format!("there is no {name}")))?;
        if info.dtype != Dtype::F32 || info.shape != shape {
            let found = format!("{name} is {:?} {:?}, needed is F32 {shape:?}", info.dtype, info.shape);
            return Err(BertError::Weights(found));
        }
        let offset = self.tensors_start + info.data_offsets.0;
        let bytes = self.file.get(offset..self.tensors_start + info.data_offsets.1);
        Ok((bytes.ok_or_else(|| BertError::Weights(format!("{name} is cut off")))?, offset))
    }

    /// A tensor that stays where it is in the safetensors file.
    fn in_place(&mut self, name: &str, shape: &[usize]) -> Result<(), BertError> {
        let (_, offset) = self.tensor(name, shape)?;
        self.initializer(name, shape, self.safetensors_name, offset);
        Ok(())
    }

    /// The weights of linear layers, `[to, from]` each, as one `[from, layers * to]` in the second file.
    fn transposed(&mut self, name: &str, layers: &[String], from: usize, to: usize) -> Result<(), BertError> {
        let offset = self.align();
        let width = layers.len() * to;
        self.data.resize(offset + FLOAT_BYTES * from * width, 0);
        for (part, layer) in layers.iter().enumerate() {
            let (source, _) = self.tensor(layer, &[to, from])?;
            let target = self.data.get_mut(offset..).unwrap_or_default();
            for (row, floats) in source.chunks_exact(FLOAT_BYTES * from).enumerate() {
                let column = target.chunks_exact_mut(FLOAT_BYTES).skip(part * to + row).step_by(width);
                for (float, place) in floats.chunks_exact(FLOAT_BYTES).zip(column) {
                    place.copy_from_slice(float);
                }
            }
        }
        self.initializer(name, &[from, width], self.data_name, offset);
        Ok(())
    }

    /// Vectors of `len` one behind another, in the second file.
    fn joined(&mut self, name: &str, vectors: &[String], len: usize) -> Result<(), BertError> {
        let offset = self.align();
        for vector in vectors {
            let (source, _) = self.tensor(vector, &[len])?;
            self.data.extend_from_slice(source);
        }
        self.initializer(name, &[vectors.len() * len], self.data_name, offset);
        Ok(())
    }

    /// Starts the next tensor of the second file on a cache line.
    fn align(&mut self) -> usize {
        let offset = self.data.len().next_multiple_of(64);
        self.data.resize(offset, 0);
        offset
    }

    fn initializer(&mut self, name: &str, shape: &[usize], file: &str, offset: usize) {
        let length = shape.iter().product::<usize>() * FLOAT_BYTES;
        let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
        self.initializers.push(Tensor {
            dims: shape.iter().map(|&n| n as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            external_data: vec![
                entry("location", file.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            data_location: EXTERNAL,
        });
    }
}
