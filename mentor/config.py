"""One schema dataclass per config group, and the groups and top-level keys that each stage reads.

Hydra composes into these (so a wrong key or type is refused while composing); `freeze` makes the result read-only.
Library code never sees a `Config`: a stage unpacks it into plain arguments. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mentor.errors import ConfigError
from mentor.reward_keys import default_terms, spelt_out

S = TypeVar("S", bound="Section")


@dataclass
class Section:
    """A config group. Writable while Hydra composes, read-only after `freeze`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_frozen", False):
            raise AttributeError(f"{type(self).__name__} is read-only after composing: {name}={value!r}")
        super().__setattr__(name, value)

    def freeze(self) -> None:
        """Make this section and the sections below it read-only."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            below = value.values() if isinstance(value, dict) else [value]
            for section in below:
                if isinstance(section, Section):
                    section.freeze()
        object.__setattr__(self, "_frozen", True)


def choice(default: str, *accepted: str) -> Any:
    """A string field that takes one of `accepted`; `check` refuses others."""
    return field(default=default, metadata={"choices": accepted})


def choices(*default: str, accepted: tuple[str, ...]) -> Any:
    """A list of strings, each one of `accepted`; `check` refuses others."""
    return field(default_factory=lambda: [*default], metadata={"choices": accepted})


def choice_or_own(default: str, *accepted: str) -> Any:
    """A string field that takes one of `accepted`, or names something of the user's own: text with a colon."""
    return field(default=default, metadata={"choices": accepted, "own": True})


def number(default: Any, low: float | None = None, high: float | None = None) -> Any:
    """A numeric field within [low, high]; an open end is None. `check` refuses others."""
    return field(default=default, metadata={"low": low, "high": high})


def count(default: int | None) -> Any:
    """A field that takes whole numbers from 1."""
    return number(default, low=1)


def count_or(word: str) -> Any:
    """A field that takes whole numbers from 1, or the word, its default; of type Any, as OmegaConf merges no unions."""
    return field(default=word, metadata={"low": 1, "high": None, "word": word})


def share(default: float) -> Any:
    """A field that takes numbers from 0 to 1."""
    return number(default, low=0, high=1)


# --- stage -----------------------------------------------------------------------------------------------------------


@dataclass
class StageConfig(Section):
    name: str = "???"  # which stage runs; stage=<stage> sets it


@dataclass
class RolloutStage(StageConfig):
    """The teacher solves the tasks with tools, once."""

    limit: int | None = count(None)  # at most this many tasks
    concurrency: int = count(64)  # tasks in flight at once
    decontaminate: list[str] = field(default_factory=list)  # files of evaluation questions; tasks like them are dropped


@dataclass
class PretrainStage(StageConfig):
    """A small student from scratch on generic tool-use text, deliberately half-competent."""

    conversations: int = count(6000)  # generated conversations to train on
    direct_share: float = share(0.2)  # share of the calculator questions answered directly, without any tool
    alternative_share: float = share(0.5)  # share of them solved by another valid tool path than the teacher's
    skill: float = share(1.0)  # share of the calculator's calls that are right; others: another tool or other numbers
    shyness: float = share(0.0)  # share of the calculator questions answered directly in a last phase; 0: no such phase
    shyness_steps: int = count(160)  # of trainer.steps, the last ones, which are the phase of stage.shyness
    perturbed_share: float = share(0.0)  # share of calculator questions with made-up tools among its own, reordered
    max_steps_per_question: int = count(3)  # longest tool chain in most of the text, a share has two more
    schema_share: float = share(0.0)  # share of the conversations over made-up tools, of which each has others


@dataclass
class SftStage(StageConfig):
    """Supervised fine-tuning on the teacher's trajectories."""

    limit: int | None = count(None)  # at most this many trajectories


@dataclass
class RlStage(StageConfig):
    """Group-relative policy optimisation with multi-turn tool rollouts."""

    limit: int | None = count(None)  # at most this many tasks
    save_trajectories_every: int = count(5)  # steps; the trajectories of every such step and the last are kept


@dataclass
class EvalStage(StageConfig):
    """Accuracy and tool use of students on benchmarks."""

    limit: int | None = count(None)  # at most this many tasks per benchmark
    greedy: bool = True  # also decode once greedily
    samples: int = number(1, low=0)  # sampled trajectories per task
    with_tools: list[bool] = field(default_factory=lambda: [True])  # true: with the tools; false: with none; or both
    grader_timeout_s: float = number(5.0, low=0.01, high=86400)  # wall clock of grading one answer


@dataclass
class ScoreStage(StageConfig):
    """Rewards of stored trajectories or raw rows, without any model."""

    input: str = "???"  # JSONL of trajectories or of rows {id, response, eos, ground_truth, teacher_tools}
    output: str = "???"  # JSONL to write
    presets: list[str] = field(
        default_factory=lambda: ["sparse", "strict", "flexible"]
    )  # reward presets to apply, and the name of the reward that reward= describes
    workers: int = count(2)  # grader processes
    grid: Any = None  # map of reward keys to lists of values, {weights.tool: [0, 0.3]}: each combination is replayed
    grid_base: str = "flexible"  # project preset, or name of your reward, that a point of stage.grid changes
    advantage: str = choice("group", "group", "leave_one_out")  # baseline of stage.grid's advantages, as in training
    normalize_std: bool = True  # divide stage.grid's advantages by the group's standard deviation, as in training
    same_cosine: float = share(0.99)  # points of stage.grid are one if the cosine of their advantages is at least this
    same_flips: float = share(0.01)  # and at most this share of the pairs within groups has another order


@dataclass
class ReportStage(StageConfig):
    """Tables, figures and trajectories from the files of one run."""

    title: str = "MENTOR"  # heading of the report
    trajectories: int = number(2000, low=0)  # at most this many stored trajectories are in the page, evenly chosen


@dataclass
class CheckStage(StageConfig):
    """Whether stage=rl with the same groups can run: files, tools, reward, memory of each phase. Writes nothing.

    With task.path: what that file holds, and which keys read it."""

    lint_tasks: int = number(3, low=0)  # tasks of the teacher that the reward is tried on with adversarial answers


@dataclass
class ChatStage(StageConfig):
    """Talk to a model of the run, with the tools, chat format and limits it was trained with, or to its teacher.

    What the command sets of these groups comes before what the model was trained with or the teacher was asked with."""

    model: str | None = None  # the run's folder of the stage that made it, or teacher; null: the last model
    question: str | None = None  # asked alone, and its answer printed; null: what is typed until the input ends
    greedy: bool = True  # false: drawn at sampler.temperature


@dataclass
class ServeStage(StageConfig):
    """Answer requests in the shape of OpenAI's chat API with a model of the run, as it was trained, or its teacher.

    What the command sets of tools, model and sampler comes before what the model was trained with."""

    model: str | None = None  # the run's folder of the stage that made it, or teacher; null: the last model
    host: str = "127.0.0.1"  # the address to listen at; one that other machines reach needs a key
    port: int = number(8000, low=0, high=65535)  # 0: a free one, which is said
    api_key_env: str | None = None  # the environment variable with the key that clients send; null: none is asked for
    without_key: bool = False  # true: answer other machines though no key is asked for
    max_waiting: int = number(64, low=0)  # requests that wait beside the sampler.max_running answered; more get 429
    max_body_kib: int = count(1024)  # the longest body of a request; a longer one gets 413
    greedy: bool = True  # how a request without a temperature is answered; false: drawn at sampler.temperature


@dataclass
class ParityStage(StageConfig):
    """Whether a model of the run says the same in rollouts with training's settings, in eval and in serve.

    What the command sets of tools, model and sampler is what eval and serve are tried with."""

    model: str | None = None  # the folder in the run of the stage that made it, such as rl-flexible-s0; null: the last
    tasks: int = number(8, low=0)  # the first of the run's rollout, whose stored calls are run again as well
    questions: list[str] = field(default_factory=list)  # asked as well
    tolerance: float | None = number(None, low=0.0)  # of logprobs; null: 0.001 in float32, 0.25 in bfloat16


@dataclass
class PushStage(StageConfig):
    """A model of the run, or a checkpoint, with its card for the Hugging Face Hub: what is sent, and the upload."""

    repo: str | None = None  # owner/name on the Hub; a dry run needs none
    model: str | None = None  # the folder in the run of the stage that made it, such as rl-flexible-s0; null: the last
    what: str = choice("model", "model", "adapter")  # adapter: what trainer.lora trained, in PEFT's format, alone
    private: bool = True  # only its owner sees the repository, where it is made
    dry_run: bool = True  # list files, sizes and hashes, and send nothing; false: send them


@dataclass
class PipelineStage(StageConfig):
    """Several stages in order, each a fresh process; a step is a list of overrides."""

    steps: list[list[str]] = field(default_factory=list)  # one list of overrides for each step, in order


INSTRUCTION = "Solve the problem with the tools where they help. End with {answer_format}."

# --- other groups ----------------------------------------------------------------------------------------------------


TRACE_FORMS = ("tau_bench", "glaive", "toolace", "ms_swift", "hermes", "llama_factory", "sharegpt", "openai")
"""The names of `mentor.traces.forms`, the most special first."""


@dataclass
class TaskColumns(Section):
    """Where a row has what, as a key or as keys with dots between, such as extra_info.question.

    Null: where rows of that kind have it. An empty text: nowhere."""

    question: str | None = None  # the question: text, or a list of {role, content} that ends with the user's
    answer: str | None = None  # the answer: text, a number, a list of accepted ones, or an object such as {target}
    reference: str | None = None  # the teacher's calls, a list of {name, arguments} or its JSON text; may be absent
    calls: str | None = None  # the right calls in place of an answer: a list, its JSON text, or a text that holds them
    id: str | None = None  # a unique id; without it the file's name and the row's number
    tools: str | None = None  # the row's own tools, a list of schemas or its JSON text; may be absent
    system: str | None = None  # a system message before the question; may be absent
    messages: str | None = None  # traces: the conversation


@dataclass
class PerturbConfig(Section):
    """How the tools that a task is shown differ from those that run its calls. It is drawn anew for each task.

    The reward and the tool use of a student go by the tools' own names."""

    rename: str = choice(
        "none", "none", "suffix", "made_up"
    )  # of tools and parameters: a made-up word behind each name, or names that say nothing, for prompts that describe
    describe: bool = False  # the descriptions of both are worded anew
    reorder: bool = False  # the tools are listed in another order
    distractors: int = number(0, low=0, high=64)  # made-up tools among them, which run and help nothing
    failure_rate: float = share(0.0)  # of the calls fail with an error of the tool
    missing: bool = False  # one of the teacher's tools is not there; tasks without another path are left out
    seed: int = number(0, low=0)  # of what is drawn, with the task's id


@dataclass
class TaskConfig(Section):
    """Where the training tasks come from."""

    name: str = choice(
        "???", "calculator", "gsm8k", "math", "multihop_qa", "rl_rows", "jsonl", "calls", "bfcl", "traces"
    )  # generated, or rows of GSM8K, mathematics or multi-hop benchmarks, verl, your own, with right calls, of BFCL
    path: str | None = None  # file (JSONL, JSON, CSV, parquet, arrow), folder of shards, or a data set of the Hub
    subset: str | None = None  # which configuration of a data set that has several; null: its default
    split: str = "train"  # which split to generate or fetch, a local file's label; a benchmark has splits instead
    size: int = number(600, low=1, high=1_000_000)  # how many tasks a generator makes
    max_steps: int = count(3)  # longest generated tool chain
    seed: int = number(0, low=0)  # of the generator: one data set, whatever the training seed
    columns: TaskColumns = field(default_factory=TaskColumns)  # where a row has what
    bad_rows: str = choice("refuse", "refuse", "skip")  # skip: leave out, and list, the rows that cannot be used
    placeholders: list[str] = field(default_factory=list)  # rl_rows: text=replacement, in the source of tools
    form: str = choice(
        "auto", "auto", *TRACE_FORMS
    )  # traces: how the rows hold a conversation; auto: found by the shape of the rows
    data_set: str | None = None  # name of the data set, which id:<data set> of a benchmark is compared with
    license: str | None = None  # of the rows, which model cards state
    answer_format: str = "boxed"  # of the final answer: boxed, hashes, tag, last_line, json, whole, re:<expression>
    perturb: PerturbConfig = field(default_factory=PerturbConfig)  # how its tools are shown, in rl and in evaluations

    def source(self) -> dict[str, Any]:
        """Return the arguments of `load_tasks`: what says which rows there are and how they are read."""
        return {
            key: value
            for key, value in asdict(self).items()
            if key not in ("data_set", "license", "answer_format", "perturb")
        }


@dataclass
class BenchmarkConfig(Section):
    """One evaluation set; `splits` maps each split to its domain: in or out of that of the training tasks."""

    task: TaskConfig = field(default_factory=TaskConfig)  # where its questions come from
    splits: dict[str, str] = field(
        default_factory=lambda: {"test": "unknown"}
    )  # split: id, ood, unknown, or id:<data set>+<data set>, which is ood after training on another
    teacher: str | None = None  # oracle or annotated: whose tool use on the same tasks the student's is compared with
    grader: str = choice_or_own(
        "answer", "answer", "qa", "bfcl"
    )  # the final answer; exact match and token F1; calls alone; or file.py:function, judge:rubric.md
    terms: dict[str, Any] = field(
        default_factory=dict
    )  # by name a term of docs/rewards.md, built in or your own, whose mean is shown beside the accuracy


@dataclass
class TeacherConfig(Section):
    name: str = choice(
        "???", "oracle", "annotated", "openai", "model", "traces"
    )  # which teacher; teacher=<preset> sets it


@dataclass
class WorkedTeacher(TeacherConfig):
    """For oracle, which solves generated tasks, and annotated, which executes the worked answers in rows."""

    alternative_share: float = share(0.3)  # oracle: share of tasks solved by another of the valid tool paths


@dataclass
class TracesTeacher(TeacherConfig):
    """The conversations in task.path, that a teacher had before."""

    reexecute: bool = False  # run their calls again where `tools` has them; a trace with another result is rejected
    min_reward: float | None = number(1.0)  # tau_bench: runs whose reward is less are rejected; null keeps all


@dataclass
class SampledTeacher(TeacherConfig):
    """For teachers that sample: several tries at a task, of which a correct one is kept."""

    samples: int = count(1)  # tries at each task
    choose: str = choice("fewest_calls", "fewest_calls", "shortest", "first")  # which of a task's correct tries is kept


@dataclass
class OpenaiTeacher(SampledTeacher):
    """A model behind any OpenAI-compatible endpoint that takes tools."""

    base_url: str | None = None  # of the endpoint, such as http://localhost:8000/v1; required
    model: str | None = None  # the endpoint's name for the model; required
    api_key_env: str | None = "OPENAI_API_KEY"  # environment variable that holds the key; null: the endpoint needs none
    instruction: str | None = INSTRUCTION  # system message, which is not stored; {answer_format} asks for the format
    temperature: float | None = number(0.7, low=0)  # of sampled tokens; null leaves it to the endpoint
    top_p: float | None = number(None, low=0.01, high=1)  # share of probability sampled from; null: the endpoint's
    max_tokens: int | None = count(2048)  # sampled tokens of one turn; null leaves it to the endpoint
    max_turns: int = count(8)  # assistant turns of one try
    max_calls_per_turn: int = count(32)  # a try with a turn of more calls is rejected, and they are not run
    seed: int | None = number(0, low=0)  # sent with each request, plus the number of the try; null sends none
    extra_body: dict[str, Any] = field(default_factory=dict)  # more keys of a request, +teacher.extra_body={top_k: 20}
    concurrency: int = count(16)  # requests in flight at once
    timeout_s: float = number(120.0, low=0.1)  # wall clock of one request
    max_retries: int = number(6, low=0)  # times a request that failed is sent again
    max_retry_s: float = number(600.0, low=0)  # wall clock of all attempts at a request, waits between them included
    max_refused_in_a_row: int | None = count(8)  # tasks refused alike, none solved between, before the stage stops
    max_total_tokens: int | None = count(None)  # prompt and sampled tokens of all requests before the stage stops
    max_cost: float | None = number(None, low=0)  # money for all requests before the stage stops; needs the prices
    input_price: float = number(0.0, low=0)  # money for a million prompt tokens
    output_price: float = number(0.0, low=0)  # money for a million sampled tokens
    dry_run: bool = False  # say what the stage would ask and cost, ask nothing and write nothing


@dataclass
class ToolsConfig(Section):
    name: str = choice("???", "calculator", "python", "search", "file", "mcp", "row")  # row: those each task brings
    path: str | None = None  # file: your tools.py; search: JSONL of passages {title, text}
    top_k: int = number(3, low=1, high=20)  # search: passages where a call does not say how many
    server: str | None = None  # mcp: the command line of a server, or its URL
    shared: bool = False  # mcp: one connection for all trajectories, where each has its own otherwise
    schemas: str | None = None  # file: a JSON list of tool schemas that replace those derived from type hints
    engine: str = choice("auto", "auto", "monty", "cpython")  # auto: cpython for file and row, monty for the calculator
    trusted: bool = False  # run your own tools.py in separate processes without the sandbox: your files, your network
    isolation_floor: str = choice(
        "landlock+seccomp", "process", "rlimits", "landlock+seccomp", "namespaces", "interpreter"
    )  # the least isolation that tools in the sandbox may run with, weakest first
    timeout_s: float = number(2.0, low=0.01, high=86400)  # wall clock of one call
    load_timeout_s: float = number(10.0, low=0.1, high=86400)  # wall clock of running your tools' source once
    memory_mib: int = number(64, low=8, high=2**20)  # memory of one call's sandbox
    workers: int | None = count(None)  # calls at once in one process; null: its share of the cores, 2 to 16
    max_output_chars: int = number(2000, low=16)  # a longer result is cut with a visible marker


@dataclass
class ModelConfig(Section):
    """The student. `path` is a local folder or a hub name; without it the run's own pretrained base is used."""

    name: str = "???"  # label of the preset
    path: str | None = None  # model folder or hub name; the run's own pretrained student when null
    license: str | None = None  # of the trained weights, as the Hub names it (apache-2.0), which their card states
    dtype: str = choice("float32", "float32", "bfloat16")  # of the forward pass; weights and optimiser stay float32
    attn_implementation: str | None = None  # sdpa, eager, flash_attention_2 or _3, a kernel; null: sdpa where it can
    chat_template: str | None = None  # replaces the tokenizer's own: a Jinja file, or deepseek or tiny
    template_name: str | None = None  # which of several named templates of a tokenizer; tool_use or default when null
    end_of_turn: str | None = None  # token that ends an answer, or it and, after a space, a call's; found when null
    call_syntax: str | None = None  # how calls are spelled: a name, a .yaml or a .py; found by rendering when null
    enable_thinking: bool = False  # handed to the chat template
    think_history: str = choice("keep", "keep", "strip")  # earlier turns' thinking in the prompt of later ones
    uncertified: bool = False  # use a chat template, and a call_syntax for it, that fail (docs/chat_formats.md)
    question_template: str = "{question}"  # text of the user turn
    system_prompt: str | None = None  # system message of a task that has none, or with {tools}, the tools; not stored
    # The keys below are the shape of a student made by stage=pretrain, and of a hub model for stage=check.
    vocab_size: int = number(640, low=300)  # rows of the embedding; in stage=pretrain entries of its tokenizer
    hidden_size: int = count(128)  # features of a token between the layers
    intermediate_size: int = count(384)  # features inside the feed-forward part
    num_hidden_layers: int = count(4)  # layers
    num_attention_heads: int = count(4)  # attention heads; a divisor of hidden_size
    num_key_value_heads: int = count(2)  # key and value heads; a divisor of num_attention_heads
    head_dim: int | None = count(None)  # features of one head; hidden_size / num_attention_heads when null
    tie_word_embeddings: bool = True  # the output head is the embedding itself
    max_position_embeddings: int = count(2048)  # tokens of the longest conversation the student can hold


@dataclass
class SamplerConfig(Section):
    name: str = choice(
        "???", "transformers", "vllm"
    )  # rollout engine: transformers in the process of the stage, or vLLM
    max_running: int = count(256)  # trajectories decoded at once by one process
    temperature: float = number(1.0, low=0.01)  # of sampled tokens, in rl and in sampled evaluation
    top_p: float = number(1.0, low=0.01, high=1)  # share of probability sampled from; below 1 in rl with top_k alone
    top_k: int | None = count(None)  # most likely tokens sampled from, of which top_p keeps a part; null: all
    max_turns: int = count(8)  # assistant turns of one trajectory
    max_turn_tokens: int = count(96)  # sampled tokens of one turn
    max_thinking_tokens: int | None = count(None)  # of a turn before its thinking is closed for it; no bound when null
    max_tokens: int = count(1024)  # prompt, turns and tool output that a turn is sampled after, and the turn
    max_invalid_turns: int = count(2)  # turns in a row with only invalid calls before a trajectory ends
    max_result_tokens: int | None = count(None)  # of one tool result; a longer one is cut with a visible mark
    deterministic: bool = False  # lockstep turns and fixed batch order, so a run repeats bit for bit
    placement: str = choice(
        "colocated", "colocated", "separate"
    )  # colocated: on the policy's GPUs, in its processes; separate: in other processes, on other GPUs if any
    engines: int | None = count(None)  # separate: processes on each node; null: all GPUs no rank has, or one per rank
    tensor_parallel: int = count(1)  # vllm, separate: GPUs of one engine
    gpu_memory_share: float | None = number(
        None, low=0.05, high=0.95
    )  # vllm on a GPU: of its memory, while trajectories run; null: what the memory plan leaves
    kv_cache_gib: float = number(1.0, low=0.1)  # vllm on a CPU: memory of its key-value cache


@dataclass
class ModelTeacher(SampledTeacher):
    """A model in this process, sampled in batches like a student."""

    path: str | None = None  # model folder or hub name; required
    dtype: str = choice("float32", "float32", "bfloat16")  # of the forward pass
    chat_template: str | None = None  # replaces the tokenizer's own: a Jinja file, or deepseek or tiny
    question_template: str = "{question}"  # text of the user turn
    enable_thinking: bool = False  # handed to the chat template
    think_history: str = choice("keep", "keep", "strip")  # earlier turns' thinking in the prompt of later ones
    sampler: SamplerConfig = field(default_factory=lambda: SamplerConfig(name="transformers"))  # engine and limits


@dataclass
class RewardWeights(Section):
    """Short keys: the weights of three terms."""

    correct: float | None = None  # short for reward.terms.correct.weight, of the outcome; 0 or more
    tool: float | None = None  # short for reward.terms.match.weight, of the match with the teacher's calls; 0 or more
    valid: float | None = None  # short for reward.terms.valid.weight, of the share of well-formed calls; 0 or more


@dataclass
class RewardFloors(Section):
    """Totals of trajectories without a final answer, the same for every project preset."""

    unfinished: float = 0.0  # no final turn
    no_answer: float = 0.0  # a final turn without an answer in task.answer_format


@dataclass
class RewardConfig(Section):
    name: str = "???"  # label of the preset; an rl folder is named from it
    family: str = choice("project", "project", "released")  # released: the paper authors' functions, on raw text
    terms: dict[str, Any] = field(
        default_factory=default_terms
    )  # by name {term, weight, gate, wrong_scale}: built in, file.py:function or judge:rubric.md (docs/rewards.md)
    weights: RewardWeights = field(default_factory=RewardWeights)  # of three terms
    matcher: str | None = None  # short for reward.terms.match.term; released: the authors' function
    wrong_scale: float | None = None  # short for reward.terms.match.wrong_scale, a factor with a wrong answer; 0 to 1
    gate: str | None = None  # short for the gates of match and valid: none, outcome, group
    anneal: str = choice("none", "none", "group", "run")  # terms of the calls fade with right answers of group or run
    anneal_until: float = number(1.0, low=0.01, high=1)  # share of right answers from which on they count nothing
    anneal_steps: int = count(10)  # last steps that the run's share of right answers is a mean of
    floors: RewardFloors = field(default_factory=RewardFloors)  # totals without a final answer (project)
    grader: str = "answer"  # what says whether it is right: answer, its final answer; file.py:function; judge:rubric.md
    max_ungraded: float = share(0.05)  # share of answers without a grade before the run stops
    grader_timeout_s: float = number(
        5.0, low=0.01, high=86400
    )  # wall clock of grading one answer, and of one call of a function of your own
    grader_workers: int = count(1)  # processes that grade what is not plainly equal, and of each function of your own

    def __post_init__(self) -> None:
        self.terms = spelt_out(self.terms, asdict(self))


@dataclass
class JudgeConfig(Section):
    """The model that reads rubrics: terms and graders `judge:path/to/rubric.md`."""

    name: str = choice("???", "openai")  # any OpenAI-compatible endpoint
    base_url: str | None = None  # of the endpoint, such as http://localhost:8000/v1; required
    model: str | None = None  # the endpoint's name for the model; required
    api_key_env: str | None = "OPENAI_API_KEY"  # environment variable that holds the key; null: the endpoint needs none
    temperature: float | None = number(0.0, low=0)  # of sampled tokens; null leaves it to the endpoint
    top_p: float | None = number(None, low=0.01, high=1)  # share of probability sampled from; null: the endpoint's
    max_tokens: int | None = count(512)  # sampled tokens of one reply; null leaves it to the endpoint
    seed: int | None = number(0, low=0)  # sent with each request; null sends none
    extra_body: dict[str, Any] = field(default_factory=dict)  # more keys of a request, +judge.extra_body={top_k: 20}
    concurrency: int = count(16)  # requests in flight at once
    timeout_s: float = number(60.0, low=0.1)  # wall clock of one request
    max_retries: int = number(3, low=0)  # times a request that failed is sent again
    max_retry_s: float = number(120.0, low=0)  # wall clock of all attempts at a request, waits between them included
    max_total_tokens: int | None = count(None)  # prompt and sampled tokens of all requests before the stage stops
    max_cost: float | None = number(None, low=0)  # money for all requests before the stage stops; needs the prices
    input_price: float = number(0.0, low=0)  # money for a million prompt tokens
    output_price: float = number(0.0, low=0)  # money for a million sampled tokens


@dataclass
class DistillTeacher(Section):
    """The model that scores the student's tokens in on-policy distillation: in this process, or behind an endpoint."""

    path: str | None = None  # model folder or hub name, loaded beside the policy; the student's tokenizer
    dtype: str = choice("float32", "float32", "bfloat16")  # of its forward pass
    offload: bool = False  # keep it in the CPU's memory but while it scores
    base_url: str | None = None  # of a vLLM server in its place, such as http://localhost:8000/v1
    model: str | None = None  # the endpoint's name for the model; required with base_url
    api_key_env: str | None = None  # environment variable that holds the key; null: the endpoint needs none
    concurrency: int = count(32)  # requests in flight at once, a trajectory each
    timeout_s: float = number(120.0, low=0.1)  # wall clock of one request
    max_retries: int = number(6, low=0)  # times a request that failed is sent again
    max_retry_s: float = number(600.0, low=0)  # wall clock of all attempts at a request, waits between them included
    max_total_tokens: int | None = count(None)  # tokens of all requests before the stage stops
    max_cost: float | None = number(None, low=0)  # money for all requests before the stage stops; needs the price
    input_price: float = number(0.0, low=0)  # money for a million scored tokens


@dataclass
class DistillConfig(Section):
    """On-policy distillation: a teacher scores the tokens that the student samples in rl (docs/algorithms.md)."""

    coef: float = number(0.0, low=0)  # of distillation; 0 asks no teacher
    reward_coef: float = number(1.0, low=0)  # of the reward's advantages; 0: the reward is only logged
    placement: str = choice("advantage", "advantage", "loss")  # the sampled token's log-ratio, or a divergence
    discount: float = share(0.0)  # how much of a later token's log-ratio counts at a token; 1: all of it (MiniLLM)
    divergence: str = choice("reverse_kl", "reverse_kl", "forward_kl", "jsd")  # in the loss (GKD)
    top_k: int = count(20)  # most likely tokens of the teacher that the divergence tells apart; vLLM's default limit
    jsd_beta: float = number(0.5, low=0.01, high=0.99)  # the teacher's share of the mixture
    teacher: DistillTeacher = field(default_factory=DistillTeacher)  # who scores


@dataclass
class DeepSpeedConfig(Section):
    """How weights, gradients and optimiser states are partitioned over the ranks (ZeRO, arXiv:1910.02054)."""

    stage: int = number(
        0, low=0, high=3
    )  # 0: plain torch; 1 partitions optimiser states, 2 gradients too, 3 weights too
    offload: bool = False  # keep optimiser states, and in stage 3 the weights, in the CPU's memory
    bucket_elements: int = count(50_000_000)  # gradient elements reduced at once


@dataclass
class LoraConfig(Section):
    """Low-rank adapters (arXiv:2106.09685) on every linear layer but the output head; the base stays as it is."""

    rank: int = number(0, low=0)  # of the adapters; 0 trains all weights
    alpha: int = count(32)  # the adapter's product is scaled by alpha / rank
    quantize: str = choice("none", "none", "nf4")  # nf4: the base's linear layers in 4 bits (QLoRA), by bitsandbytes


@dataclass
class TrainerConfig(Section):
    """Optimiser and schedule, shared by every training stage."""

    steps: int = count(100)  # optimiser steps; in rl steps of a rollout and epochs x minibatches optimiser steps
    learning_rate: float = number(3e-4, low=0)  # at its highest, after the warm-up
    optimizer: str = choice("adamw", "adamw", "muon")  # muon: on matrices, with adamw on the rest; not with DeepSpeed
    weight_decay: float = number(0.0, low=0)  # decoupled from the gradient, as in AdamW
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])  # of AdamW's two moments, each from 0 to below 1
    eps: float = number(1e-8, low=0)  # AdamW adds it to the root of the second moment
    warmup_steps: int = number(0, low=0)  # optimiser steps of linear warm-up
    schedule: str = choice(
        "constant", "constant", "linear", "cosine", "wsd"
    )  # after the warm-up; linear, cosine: to zero at the last step; wsd: constant, then to zero along half a cosine
    decay_share: float = share(0.1)  # wsd: of all optimiser steps, the last, in which the rate falls to zero
    max_grad_norm: float = number(1.0, low=0)  # longer gradients are scaled down to this; 0 scales none
    micro_batch_tokens: Any = count_or("auto")  # of one forward and backward, padded; auto: in rl the fastest
    packing: bool = False  # several short sequences share a row, where the model's layers keep them apart, else padding
    share_prefixes: bool = True  # what rows have in common at their beginning is computed once, where the model allows
    save_every: int = count(50)  # steps between checkpoints; the last step is always saved

    @property
    def optimizer_steps(self) -> int:
        """Count the optimiser steps of the whole stage."""
        return self.steps


@dataclass
class SupervisedTrainer(TrainerConfig):
    """For pretrain and sft."""

    batch_tokens: int = count(2048)  # tokens of one optimiser step


@dataclass
class ScaledTrainer(TrainerConfig):
    """For sft and rl: several ranks, DeepSpeed, adapters, gradient checkpointing."""

    nodes: int = count(1)  # machines, on each of which the same command is started
    num_processes: int = count(1)  # ranks of each node, each with a part of the rollouts and batches
    gradient_checkpointing: bool = False  # recompute each layer in the backward pass, not keep its activations
    deepspeed: DeepSpeedConfig = field(default_factory=DeepSpeedConfig)  # trainer/deepspeed= chooses a preset
    lora: LoraConfig = field(default_factory=LoraConfig)  # adapters instead of all weights
    eval_every: int | None = count(None)  # steps between evaluations on `benchmark`, the last step's beside; null: none
    eval_limit: int | None = count(None)  # of these evaluations: at most this many tasks of each split
    eval_greedy: bool = True  # of these evaluations: decode greedily
    eval_samples: int = number(0, low=0)  # of these evaluations: sampled trajectories per task
    keep: str = "2"  # checkpoints on disk: best (and the newest; model/ is then the best), last, all, or how many
    best_metric: str | None = None  # of metrics.jsonl, for keep and patience; null: eval/<first benchmark>/accuracy
    best_mode: str = choice("max", "max", "min")  # whether the highest or the lowest best_metric is the best
    patience: int | None = count(None)  # times best_metric is measured in a row without a new best; null: any
    max_hours: float | None = number(None, low=0.0001)  # of steps and evaluations, before the stage ends; null: any

    @property
    def distributed(self) -> bool:
        """Whether the processes form a group of torch.distributed, which DeepSpeed needs even of one."""
        return self.deepspeed.stage > 0 or self.nodes * self.num_processes > 1


@dataclass
class SftTrainer(ScaledTrainer, SupervisedTrainer):
    """For sft."""


@dataclass
class CurriculumConfig(Section):
    """Which tasks an RL step draws."""

    draw: str = choice("shuffle", "shuffle", "success")  # the next of a shuffle, or by the student's recent success
    rest_steps: int = number(0, low=0)  # in which a task is not drawn after a group that was all right or all wrong
    window: int = count(3)  # last groups of a task that its recent success is counted over


@dataclass
class RlTrainer(ScaledTrainer):
    task_epochs: float | None = number(
        None, low=0.01
    )  # passes over the tasks, which say the steps; null: trainer.steps
    prompts_per_step: int = count(32)  # P: questions of one step
    group_size: int = number(8, low=2)  # G: trajectories of each question
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)  # which tasks a step draws
    minibatches: int = count(2)  # optimiser steps per pass over a rollout
    epochs: int = count(1)  # passes over a rollout
    advantage: str = choice("group", "group", "leave_one_out")  # baseline: mean of the group, or of the others in it
    normalize_std: bool = True  # divide the group-relative advantage by the group's standard deviation
    aggregation: str = choice(
        "sum_then_normalize", "sum_then_normalize", "normalize_then_sum"
    )  # of reward terms in the advantage: divided by the deviation of their sum, or each by its own (GDPO)
    credit: str = choice("trajectory", "trajectory", "turn")  # turn: each has its own advantage
    ratio: str = choice("token", "token", "sequence")  # clipped per token, or one per sequence (GSPO)
    clip_low: float = number(0.2, low=0, high=1)  # the ratio counts down to 1 - clip_low
    clip_high: float = number(0.28, low=0)  # the ratio counts up to 1 + clip_high
    dual_clip: float | None = number(None, low=1)  # the most the ratio counts with a negative advantage; null: any
    loss_mean: str = choice("token", "token", "sequence", "constant")  # over tokens, sequences' means, fixed tokens
    kl_coef: float = number(0.0, low=0)  # of the KL term against the reference model; 0 loads none
    kl_estimator: str = choice("k3", "k1", "k3")  # of KL(policy || reference) on the sampled tokens
    kl_placement: str = choice("loss", "loss", "reward")  # added to the loss, or taken from rewards before advantages
    reference_offload: bool = False  # keep the reference model in the CPU's memory but while it scores
    entropy_coef: float = number(0.0, low=0)  # bonus on the policy's entropy
    old_logprobs: str = choice(
        "sampler", "sampler", "policy"
    )  # of the ratio: as sampled, or of the policy before the step's first update, for one more forward pass
    importance_cap: float | None = number(None, low=1)  # truncated correction of the sampler's logprobs; null: none
    max_sampling_rounds: int = count(1)  # rollouts of a step, until P groups have a variance (dynamic sampling)
    overlong_buffer_tokens: int = number(0, low=0)  # last tokens before sampler.max_tokens where the penalty grows
    overlong_penalty: float = number(1.0, low=0)  # taken from the reward at sampler.max_tokens, prompt included
    mask_cut: bool = False  # trajectories that ran out of tokens or turns count in their group and stay out of the loss

    @property
    def optimizer_steps(self) -> int:
        return self.steps * self.epochs * self.minibatches


@dataclass
class PipelineTrainer(RlTrainer, SftTrainer):
    """The keys of every trainer, which a pipeline passes to the steps that read them."""


BACKENDS = ("wandb", "tensorboard", "trackio", "mlflow")


@dataclass
class LoggerConfig(Section):
    console: bool = True  # progress on stderr; messages are shown either way
    backends: list[str] = choices("wandb", accepted=BACKENDS)  # where metrics go beside metrics.jsonl; [] nowhere else
    wandb: str = choice("offline", "offline", "online")  # offline: files in the stage's folder, not sent
    project: str = "mentor"  # of the trackers (MLflow's experiment); the run is its group, the stage's folder its name


@dataclass
class SlurmConfig(Section):
    """What launcher=slurm asks the cluster for, for every point."""

    cluster: str = choice("slurm", "slurm", "local")  # local: submitit's processes on this machine, to try it out
    partition: str | None = None  # the cluster's default when null
    account: str | None = None  # who is charged; the cluster's default when null
    time_min: int = count(240)  # minutes; near the limit a point is queued again and resumes
    nodes: int = count(1)  # for each point; the trainer.nodes of its stages
    gpus: int = number(1, low=0)  # for each point on each of its nodes
    cpus: int = count(8)  # cores for each point on each of its nodes
    memory_gib: float = number(64.0, low=0.1)  # for each point on each of its nodes
    requeues: int = number(10, low=0)  # times a point that ran out of time is queued again
    setup: list[str] = field(default_factory=list)  # shell lines before a point starts, such as module load
    options: dict[str, str] = field(default_factory=dict)  # further options of sbatch by name, such as qos


@dataclass
class LauncherConfig(Section):
    name: str = choice("local", "local", "slurm")  # where the points of a sweep run: this machine or a Slurm cluster
    jobs: int = count(1)  # points of a sweep at once
    threads: int | None = count(
        None
    )  # CPU threads of one process; when null OMP_NUM_THREADS, else a share of the cores
    slurm: SlurmConfig = field(default_factory=SlurmConfig)  # what launcher=slurm asks for
    node_rank: int | None = number(None, low=0)  # which of trainer.nodes this is; null: a launcher's variables say it
    master_addr: str | None = None  # host or address of node 0, as all nodes reach it
    master_port: int = number(29500, low=1, high=65535)  # of node 0, where all nodes meet; free, and open to the others
    stall_timeout_s: float = number(45.0, low=1)  # a rank without progress for so long ends the stage (start: x 10)
    device_memory_gib: float | None = number(
        None, low=0.1
    )  # of one GPU, for stage=check; that of this machine when null


@dataclass
class PathsConfig(Section):
    outputs: str = "outputs"  # the folder of all runs


@dataclass
class Config(Section):
    """A composed stage. Groups the stage does not read are left out of its config hash and refuse overrides."""

    stage: StageConfig = field(default_factory=StageConfig)  # what to do
    run: str = "default"  # the experiment's name: every stage of a run shares outputs/<run>/
    name: str | None = None  # of an rl or sft folder, and of a reward in scores; the reward preset, or none, when null
    seed: int = number(0, low=0)  # of all that is random in a stage; folders of training stages end in it
    init: str = "base"  # rl and sft start from: base, sft, a model of the run by its name, or a model folder
    overwrite: bool = False  # start again in a folder that holds another configuration
    task: TaskConfig | None = None  # the training questions
    teacher: TeacherConfig | None = None  # who solves the training questions
    tools: ToolsConfig | None = None  # what teacher and student may call
    model: ModelConfig | None = None  # the student
    sampler: SamplerConfig | None = None  # how tokens are drawn, and the limits of a trajectory
    reward: RewardConfig | None = None  # what a trajectory is worth in rl
    judge: JudgeConfig | None = None  # the model that grades by rubrics, where a term or grader names one
    distill: DistillConfig | None = None  # the teacher of on-policy distillation, and how it counts in rl
    trainer: TrainerConfig | None = None  # optimiser, schedule and batch sizes
    logger: LoggerConfig = field(default_factory=LoggerConfig)  # what is shown and recorded while a stage runs
    launcher: LauncherConfig = field(default_factory=LauncherConfig)  # where stages run
    benchmark: dict[str, BenchmarkConfig] = field(default_factory=dict)  # evaluation sets by name
    paths: PathsConfig = field(default_factory=PathsConfig)  # where files go


STAGE_GROUPS: dict[str, tuple[str, ...]] = {
    "rollout": ("task", "teacher", "tools"),
    "pretrain": ("task", "model", "trainer"),
    "sft": ("model", "trainer", "tools", "sampler", "benchmark", "judge"),
    "rl": ("task", "tools", "model", "sampler", "reward", "judge", "distill", "trainer", "benchmark"),
    "check": ("task", "teacher", "tools", "model", "sampler", "reward", "judge", "distill", "trainer", "benchmark"),
    "eval": ("tools", "model", "sampler", "benchmark", "judge"),
    "score": ("task", "reward", "judge"),
    "report": (),
    "chat": ("teacher", "tools", "model", "sampler"),
    "serve": ("teacher", "tools", "model", "sampler"),
    "parity": ("tools", "model", "sampler"),
    "push": ("model",),
    "pipeline": (),
}
"""What each stage reads besides `stage`, `logger`, `launcher` and `paths`, which all stages read."""

EVALUATING: dict[str, tuple[str, ...]] = {
    "sft": ("tools", "sampler", "benchmark", "judge"),
    "rl": ("benchmark",),
    "check": ("benchmark",),
}
"""By stage: the groups that it reads with trainer.eval_every alone, to evaluate as it trains."""

TALKING = ("chat", "serve")
"""Stages that read `teacher` where stage.model is RUN_TEACHER, and `model` and `sampler` where it is another."""

RUN_TEACHER = "teacher"
"""The word of stage.model for the run's teacher."""

READS_ONLY: dict[tuple[str, str], tuple[str, ...]] = {
    ("rollout", "task"): tuple(entry.name for entry in fields(TaskConfig) if entry.name != "perturb"),
    ("pretrain", "task"): ("answer_format",),
    ("rl", "task"): ("perturb",),
    ("score", "task"): ("answer_format",),
    ("push", "model"): ("path",),
}
"""By stage and group: the only keys that the stage reads of the group, where it does not read all."""

ALWAYS_READ = (
    "stage",
    "logger",
    "launcher",
    "paths",
    "run",
    "name",
    "seed",
    "init",
    "overwrite",
    "experiment",
    "debug",
)
"""Groups and top-level keys that no stage refuses."""

TOP_LEVEL_READERS: dict[str, tuple[str, ...]] = {
    "name": ("sft", "rl", "check", "score"),
    "init": ("sft", "rl", "check", "pipeline"),
}
"""Top-level keys that only some stages read."""

STAGES: dict[str, type[StageConfig]] = {
    "rollout": RolloutStage,
    "pretrain": PretrainStage,
    "sft": SftStage,
    "rl": RlStage,
    "eval": EvalStage,
    "score": ScoreStage,
    "report": ReportStage,
    "check": CheckStage,
    "chat": ChatStage,
    "serve": ServeStage,
    "parity": ParityStage,
    "push": PushStage,
    "pipeline": PipelineStage,
}

TRAINERS: dict[str, type[TrainerConfig]] = {
    "pretrain": SupervisedTrainer,
    "sft": SftTrainer,
    "rl": RlTrainer,
    "check": RlTrainer,
    "pipeline": PipelineTrainer,
}
"""The trainer schema of each stage that has one."""

TEACHERS: dict[str, type[TeacherConfig]] = {
    "oracle": WorkedTeacher,
    "annotated": WorkedTeacher,
    "openai": OpenaiTeacher,
    "model": ModelTeacher,
    "traces": TracesTeacher,
}
"""The schema of each teacher, by `teacher.name`."""

RENAMED_KEYS: dict[str, str] = {
    **{f"task.{name}_key": f"task.columns.{name}" for name in ("question", "answer", "reference", "id")},
    "logger.wandb_project": "logger.project",
}
"""Dotted keys (or whole sections, or groups as `trainer/group`) of earlier versions, and what they are called now."""

SECTIONS: dict[str, type[Section]] = {
    "task": TaskConfig,
    "teacher": TeacherConfig,
    "tools": ToolsConfig,
    "model": ModelConfig,
    "sampler": SamplerConfig,
    "reward": RewardConfig,
    "judge": JudgeConfig,
    "distill": DistillConfig,
    "benchmark": BenchmarkConfig,
    "logger": LoggerConfig,
    "launcher": LauncherConfig,
    "paths": PathsConfig,
}
"""The schema of each group that has one whatever the stage."""


def new_name(key: str) -> str | None:
    """Return what a dotted key is called since it, or its section, was renamed; None for any other key."""
    benchmark = re.match(r"benchmark\.[^.]+\.(?=task\.)", key)
    prefix = benchmark[0] if benchmark else ""
    below = key.removeprefix(prefix)
    for old, new in RENAMED_KEYS.items():
        if below == old or below.startswith(f"{old}."):
            return prefix + new + below.removeprefix(old)
    return None


def refuse_renamed(keys: Iterable[str]) -> None:
    """Raise ConfigError for the first dotted key that has been renamed."""
    for key in keys:
        new = new_name(key)
        if new is not None:
            raise ConfigError(f"`{key}` has been renamed: use `{new}`")


def build(kind: type[S], values: Mapping[str, Any], where: str = "") -> S:
    """Build a section from plain values (a stored config.yaml), nested sections included.

    where: the dotted key of the section. Raises ConfigError on an unknown key.
    """
    known = get_type_hints(kind)
    for key in values:
        if key not in known:
            refuse_renamed([f"{where}{key}"])
            raise ConfigError(f"`{where}{key}` is not a key; accepted: {', '.join(where + name for name in known)}")
    return kind(**{key: _nested(known[key], value, f"{where}{key}.") for key, value in values.items()})


def schema_keys(kind: type[Section]) -> list[str]:
    """List the dotted keys of a schema, nested sections included."""
    keys: list[str] = []
    for name, hint in get_type_hints(kind).items():
        below = _section_of(hint)
        keys += [name] if below is None else [f"{name}.{key}" for key in schema_keys(below)]
    return keys


def _nested(hint: Any, value: Any, where: str) -> Any:
    below = _section_of(hint)
    if below is None or not isinstance(value, Mapping):
        return dict(value) if isinstance(value, Mapping) else value
    if get_origin(hint) is dict:
        return {key: build(below, entry, f"{where}{key}.") for key, entry in value.items()}
    return build(below, value, where)


def _section_of(hint: Any) -> type[Section] | None:
    """The section in `Section`, `Section | None` or `dict[str, Section]`."""
    for entry in (hint, *get_args(hint)):
        if isinstance(entry, type) and issubclass(entry, Section):
            return entry
    return None


def load(values: Mapping[str, Any]) -> Config:
    """Build the frozen config of a stage from the plain values of `dump`."""
    stage = values["stage"]["name"]
    sections: dict[str, Any] = {"stage": build(STAGES[stage], values["stage"], "stage.")}
    if values.get("trainer") is not None:
        sections["trainer"] = build(TRAINERS[stage], values["trainer"], "trainer.")
    if values.get("teacher") is not None:
        kind = TEACHERS.get(values["teacher"]["name"], TeacherConfig)
        sections["teacher"] = build(kind, values["teacher"], "teacher.")
    config = build(Config, {key: value for key, value in values.items() if key not in (*sections, "upstream")})
    for key, section in sections.items():
        setattr(config, key, section)
    config.freeze()
    return config


def dump(config: Config) -> dict[str, Any]:
    """Return plain values of everything the stage reads; groups it does not read are left out."""
    values = asdict(config)
    kept = (*ALWAYS_READ, *STAGE_GROUPS[config.stage.name])
    return only_read({key: value for key, value in values.items() if key in kept}, config.stage.name)


def only_read(values: dict[str, Any], stage: str) -> dict[str, Any]:
    """Return the values of a stage without groups that it reads to evaluate, where it does not (`EVALUATING`), or of
    others than it talks to (`TALKING`), and without keys that it does not read of the others (`READS_ONLY`)."""
    if stage in TALKING:
        left_out = ("model", "sampler") if values["stage"]["model"] == RUN_TEACHER else ("teacher",)
        values = {group: value for group, value in values.items() if group not in left_out}
    if not (values.get("trainer") or {}).get("eval_every"):
        values = {group: value for group, value in values.items() if group not in EVALUATING.get(stage, ())}
    parts = {group: keys for (reader, group), keys in READS_ONLY.items() if reader == stage and values.get(group)}
    return values | {group: {key: values[group][key] for key in keys} for group, keys in parts.items()}
