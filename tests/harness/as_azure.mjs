// What Azure Tables does and Azurite does not (github.com/Azure/Azurite/issues/2535): a property that was selected,
// and that an entity lacks, is answered as null. Node runs this before Azurite.

import http from "node:http";

const { emit } = http.Server.prototype;

http.Server.prototype.emit = function (event, request, response) {
    if (event === "request" && request.method === "GET") {
        const selected = new URL(request.url, "http://localhost").searchParams.get("$select");
        if (selected) answerAll(response, selected.split(","));
    }
    return emit.apply(this, arguments);
};

function answerAll(response, selected) {
    const { end } = response;
    const pieces = [];
    const keep = (piece, encoding) => {
        if (typeof piece === "string") pieces.push(Buffer.from(piece, typeof encoding === "string" ? encoding : "utf8"));
        else if (piece instanceof Uint8Array) pieces.push(piece);
    };
    response.write = (piece, encoding, written) => {
        keep(piece, encoding);
        [encoding, written].find((each) => typeof each === "function")?.();
        return true;
    };
    response.end = (piece, encoding, ended) => {
        keep(piece, encoding);
        const body = Buffer.concat(pieces).toString();
        response.end = end; // Azurite asks for the end twice
        response.removeHeader("Content-Length");
        const over = [piece, encoding, ended].find((each) => typeof each === "function");
        return end.call(response, response.statusCode === 200 ? withNulls(body, selected) : body, over);
    };
}

function withNulls(body, selected) {
    const asWritten = (_, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value);
    const answer = JSON.parse(body, asWritten);
    for (const entity of answer.value ?? [answer]) {
        for (const name of selected) entity[name] ??= null;
    }
    return JSON.stringify(answer);
}
