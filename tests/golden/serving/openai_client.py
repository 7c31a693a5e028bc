"""Talks to a server with the official OpenAI client, unchanged: python3 openai_client.py http://127.0.0.1:PORT KEY

Prints "ok" when every reply had the form that the client's own types expect.
"""

import sys
import typing

import openai
import pydantic

base, key = sys.argv[1], sys.argv[2]
client = openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0)
model = client.models.list().data[0].id
hi = [{"role": "user", "content": "Hi"}]
fixed = dict(model=model, messages=hi, max_tokens=12, temperature=0)


def refused(kind, **body):
    try:
        client.chat.completions.create(**body)
    except kind as error:
        return error
    raise SystemExit(f"not refused: {body}")


whole = client.chat.completions.create(**fixed)
assert whole.choices[0].finish_reason in ("stop", "length"), whole
streamed, usages, roles = "", [], 0
for chunk in client.chat.completions.create(**fixed, stream=True, stream_options={"include_usage": True}):
    if chunk.usage:
        usages.append(chunk.usage)
    for choice in chunk.choices:
        streamed += choice.delta.content or ""
        roles += choice.delta.role == "assistant"
assert streamed == whole.choices[0].message.content, (streamed, whole)
assert roles == 1 and len(usages) == 1, (roles, usages)
assert usages[0].completion_tokens == whole.usage.completion_tokens

helped = ""
with client.chat.completions.stream(**fixed) as stream:
    for event in stream:
        if event.type == "content.delta":
            helped += event.delta
assert helped == streamed, (helped, streamed)


class Answer(pydantic.BaseModel):
    digit: typing.Literal[1, 2, 3]
    sure: bool


parsed = client.chat.completions.parse(model=model, messages=hi, response_format=Answer, max_tokens=200)
assert isinstance(parsed.choices[0].message.parsed, Answer), parsed
assert parsed.choices[0].finish_reason == "stop"
with client.chat.completions.stream(model=model, messages=hi, response_format=Answer, max_tokens=200) as stream:
    for event in stream:
        pass
    assert isinstance(stream.get_final_completion().choices[0].message.parsed, Answer)
answer = client.responses.parse(model=model, input="Hi", text_format=Answer, max_output_tokens=200)
assert isinstance(answer.output_parsed, Answer), answer

tool = openai.pydantic_function_tool(Answer, name="submit", description="Takes an answer")
forced = dict(model=model, messages=hi, tools=[tool], tool_choice="required", max_tokens=200)
called = client.chat.completions.create(**forced, parallel_tool_calls=False)
assert called.choices[0].finish_reason == "tool_calls", called
[call] = called.choices[0].message.tool_calls
assert call.function.name == "submit" and Answer.model_validate_json(call.function.arguments)
pieces, ids = "", []
for chunk in client.chat.completions.create(**forced, parallel_tool_calls=False, stream=True):
    for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
        assert delta.index == 0
        pieces += delta.function.arguments or ""
        ids += [delta.id] if delta.id else []
assert len(ids) == 1 and Answer.model_validate_json(pieces), (ids, pieces)
bad = {"type": "function", "function": {"name": "broken", "parameters": {"type": "object", "not": {}}}}
assert "broken" in refused(openai.BadRequestError, **{**forced, "tools": [tool, bad]}).message

several = client.chat.completions.create(
    model=model, messages=hi, max_tokens=8, n=3, seed=5, logprobs=True, top_logprobs=2, temperature=1.2
)
assert [choice.index for choice in several.choices] == [0, 1, 2]
assert len(several.choices[0].logprobs.content[0].top_logprobs) == 2

scored = client.completions.create(model=model, prompt="one two three", max_tokens=0, echo=True, logprobs=1)
scores = scored.choices[0].logprobs
assert scores.token_logprobs[0] is None and len(scores.tokens) == len(scores.token_logprobs)
text = client.completions.create(model=model, prompt="one two", max_tokens=4, temperature=0)
assert text.choices[0].text is not None

vectors = client.embeddings.create(model=model, input=["one", "two"])  # the client asks for base64 itself
assert len(vectors.data) == 2 and abs(sum(x * x for x in vectors.data[0].embedding) - 1) < 1e-3
floats = client.embeddings.create(model=model, input="one", encoding_format="float")
assert max(abs(a - b) for a, b in zip(floats.data[0].embedding, vectors.data[0].embedding)) < 1e-6

response = client.responses.create(model=model, input="Hi", max_output_tokens=8, temperature=0)
deltas = ""
with client.responses.stream(model=model, input="Hi", max_output_tokens=8, temperature=0) as stream:
    for event in stream:
        if event.type == "response.output_text.delta":
            deltas += event.delta
assert deltas == response.output_text, (deltas, response)

assert refused(openai.NotFoundError, model="other", messages=hi).code == "model_not_found"
assert refused(openai.BadRequestError, **{**fixed, "temperature": -1}).param == "temperature"
too_long = [{"role": "user", "content": "x " * 200000}]
assert refused(openai.BadRequestError, model=model, messages=too_long).code == "context_length_exceeded"
if key != "none":
    other = openai.OpenAI(base_url=base + "/v1", api_key="wrong", max_retries=0)
    try:
        other.models.list()
        raise SystemExit("a wrong key was taken")
    except openai.AuthenticationError:
        pass
print("ok")
