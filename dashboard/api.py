"""Routes for programs, on the server of the pages: ``/api/v1/...``. JSON in, JSON out, an error is one sentence."""

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from core import settings
from core.default_model import default_model
from core.errors import ReviewscopeError
from core.model_settings import load_settings
from core.runs import find_model
from dashboard.guard import Guard

if TYPE_CHECKING:
    from core.prediction.exporting import ExportJob, Format
    from core.prediction.predictor import Predictor

PREFIX = "/api/v1"
LARGEST_BODY = 2 * 10**6
MOST_TEXTS = 32
LONGEST_TEXT = 20_000
AT_ONCE, MOST_WAITING = 2, 64
DECIMALS = 6
BULK = "more is a bulk job: python -m core bulk"

_are_served = False
RESULT_FIELDS = ("sentiment", "probability", "confidence", "is_not_sure", "intensity", "share_read")

MEDIA_TYPES: "dict[Format, str]" = {
    "csv-excel": "text/csv; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html; charset=utf-8",
}


class PredictRequest(BaseModel):
    """What ``predict`` takes: one text, or several."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    text: str | None = None
    texts: list[str] | None = None
    # No path: a caller chooses among the models of the workspace, not among the files of the machine.
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")] | None = None


def build_routes() -> Mount:
    """Return every route of ours, behind the guard."""
    global _are_served
    _are_served = True
    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/files/{upload}/{job}/{export}/{which}", give_file, methods=["GET"]),
    ]
    handlers: Any = {HTTPException: answer_error, ReviewscopeError: answer_failure, Exception: answer_fault}
    api = Starlette(routes=routes, middleware=[Middleware(Guard)], exception_handlers=handlers)
    # The event loop serves the pages too, so that a model never reads in it.
    api.state.readers = anyio.CapacityLimiter(AT_ONCE)
    return Mount(PREFIX, api)


async def predict(request: Request) -> Response:
    """Answer ``POST /api/v1/predict``."""
    asked = parse_request(await read_body(request))
    texts = asked.texts if asked.text is None else [asked.text]
    assert texts is not None
    readers = request.app.state.readers
    if readers.statistics().tasks_waiting >= MOST_WAITING:
        raise HTTPException(503, f"{MOST_WAITING} requests wait already. Try again in a moment.", {"Retry-After": "1"})
    answer = await anyio.to_thread.run_sync(partial(read_texts, texts, asked.model), limiter=readers)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def give_file(request: Request) -> Response:
    """Answer ``GET /api/v1/files/<upload>/<job>/<export>/table`` or ``about``: the file, or what is known of it."""
    asked = request.path_params
    export = await anyio.to_thread.run_sync(find_file, asked["upload"], asked["job"], asked["export"])
    if export is None or asked["which"] not in ("table", "about"):
        raise HTTPException(404, "There is no such file. It may have been deleted; make it again on the page.")
    headers = {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Encoding": "identity",  # else Streamlit's middleware packs it anew for each reader, without its size
    }
    if asked["which"] == "about":
        return FileResponse(export.about_file, 200, headers, "application/json", filename=f"{export.file_name}.json")
    kind = MEDIA_TYPES[export.request.format]
    # As an attachment, so that a page made of a stranger's words is never shown as one of ours.
    return FileResponse(export.table_file, 200, headers, kind, filename=export.file_name)


def are_served() -> bool:
    """Tell whether this process answers the routes; under ``streamlit run dashboard/app.py`` it has the pages alone."""
    return _are_served


def find_file(upload_id: str, job_id: str, export_id: str) -> "ExportJob | None":
    """Return an export whose file is there, or None."""
    from core.prediction.bulk_job import find_job
    from core.prediction.exporting import find_export
    from core.prediction.uploads import find_upload

    upload = find_upload(upload_id)
    job = find_job(upload, job_id) if upload else None
    export = find_export(job, export_id) if job else None
    return export if export and export.is_done else None


def file_path(export: "ExportJob", which: Literal["table", "about"] = "table") -> str:
    """Return the path of an export's file on this server, without its ticket."""
    job = export.bulk
    return f"{PREFIX}/files/{job.upload.upload_id}/{job.job_id}/{export.job_id}/{which}"


async def read_body(request: Request) -> bytes:
    """Return the body of a request that says it is JSON, or refuse it before it is too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"The body is {kind[:80] or 'of no kind'!r}. Send JSON with the header "
                            "Content-Type: application/json.")  # fmt: skip
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_BODY:
                raise HTTPException(413, f"The body is larger than {LARGEST_BODY:,} bytes; {BULK}.")
    except ClientDisconnect as error:  # no fault of ours, which the log would tell of
        raise HTTPException(400, "The caller hung up before the end of the body.") from error
    return bytes(body)


def parse_request(body: bytes) -> PredictRequest:
    """Return what a body asks for, or refuse it with what is wrong."""
    try:
        asked = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(400, describe_fault(error)) from error
    if (asked.text is None) == (asked.texts is None):
        raise HTTPException(400, 'Give either "text", one text, or "texts", a list of them.')
    texts = asked.texts if asked.text is None else [asked.text]
    if not texts:
        raise HTTPException(400, '"texts" is empty. Give 1 to 32 texts.')
    if len(texts) > MOST_TEXTS:
        raise HTTPException(413, f"There are {len(texts):,} texts and {MOST_TEXTS} fit into a request; {BULK}.")
    for place, text in enumerate(texts):
        if len(text) > LONGEST_TEXT:
            raise HTTPException(
                413, f"Text {place + 1} has {len(text):,} characters and {LONGEST_TEXT:,} fit; {BULK}."
            )  # fmt: skip
    return asked


def describe_fault(error: ValidationError) -> str:
    """Return what is wrong with a body, in a sentence that repeats none of it but names."""
    fault = error.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "json_invalid":
        return f"The body is not JSON. {fault['msg'].removeprefix('Invalid JSON: ').capitalize()[:200]}."
    if fault["type"] == "string_pattern_mismatch":
        return '"model" is an id of letters, digits, - and _, latest or starter; not a path.'
    where = ".".join(map(str, fault["loc"]))[:80]
    usage = 'Send {"text": "..."} or {"texts": ["...", ...]}, with "model" if need be'
    return f"{where or 'The body'!r}: {fault['msg'][:200]}. {usage}."


def read_texts(texts: list[str], reference: str | None) -> dict[str, Any]:
    """Return the answer on 1 to 32 texts. A text of nothing but blanks has no score, as in a table."""
    from core.prediction.bulk import NO_TEXT, shares_read
    from core.preprocessing.cleaning import as_text_array

    reference, predictor = _choose_predictor(reference)
    chosen = load_settings(predictor.sha256)
    array = as_text_array(texts)
    found = predictor.predict(array).at(chosen.cut)
    columns = zip(texts, found.sentiments, found.probabilities.tolist(), found.confidences.tolist(),
                  found.intensities.tolist(), shares_read(predictor, array).tolist(), strict=True)  # fmt: skip
    results = [
        {
            "sentiment": sentiment,
            "probability": round(probability, DECIMALS),
            "confidence": round(confidence, DECIMALS),
            "is_not_sure": chosen.side(probability) == "not sure",
            "intensity": round(intensity, DECIMALS),
            "share_read": round(share, DECIMALS),
        }
        if text.strip()
        else {**dict.fromkeys(RESULT_FIELDS), "reason": NO_TEXT}
        for text, sentiment, probability, confidence, intensity, share in columns
    ]
    return {
        "model": {"id": reference, "sha256": predictor.sha256},
        "threshold": chosen.threshold,
        "not_sure_from": chosen.unsure_low,
        "not_sure_below": chosen.unsure_high,
        "results": results,
    }


def _choose_predictor(reference: str | None) -> "tuple[str, Predictor]":
    from dashboard.cache import load_predictor  # its caches want the server to be up

    reference = reference or default_model()
    try:
        find_model(reference)
    except ReviewscopeError as error:
        raise HTTPException(
            404, f"There is no model {reference!r}. Give the id of a run that has one, that of an imported model, "
            "latest or starter; or leave it out for the default model.",
        ) from error  # fmt: skip
    return reference, load_predictor(reference)


async def answer_error(_: Request, error: HTTPException) -> Response:
    """Answer with the sentence of an error that names its own status."""
    sentence = error.detail
    if sentence == HTTPStatus(error.status_code).phrase:  # of a route or a method that there is none of
        sentence = f"{sentence}. The routes are described in docs/guide.md."
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def answer_failure(_: Request, error: ReviewscopeError) -> Response:
    """Answer with a sentence that was made for the user, without the workspace's path."""
    return JSONResponse({"error": str(error).replace(f"{settings.home()}/", "")}, 500)


async def answer_fault(_: Request, error: Exception) -> Response:
    """Answer that the fault is ours; Starlette writes it into the log."""
    return JSONResponse({"error": "Something went wrong here; the server's log says what."}, 500)
