/** A refusal in OpenAI's error shape. */
export class Problem extends Error {
  constructor(status, type, code, message, param = null, retryAfterSeconds = null) {
    super(message);
    this.status = status;
    this.type = type;
    this.code = code;
    this.param = param;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  static invalid(param, message) {
    return new Problem(400, 'invalid_request_error', 'invalid_value', message, param);
  }

  static unsupported(param, message) {
    return new Problem(400, 'invalid_request_error', 'unsupported_parameter', message, param);
  }

  static contextLength(limit, promptTokens, maxTokens, param) {
    const wanted =
      maxTokens == null ? `${promptTokens} tokens of input leave no room` : `${promptTokens} tokens of input and ${maxTokens} of output do not fit`;
    return new Problem(400, 'invalid_request_error', 'context_length_exceeded', `the context holds ${limit} tokens; ${wanted}`, param);
  }

  static notFound(message) {
    return new Problem(404, 'invalid_request_error', 'not_found', message);
  }

  static unavailable(message, retryAfterSeconds = 1) {
    return new Problem(503, 'server_error', 'unavailable', message, null, retryAfterSeconds);
  }

  static internal(error) {
    return new Problem(500, 'server_error', 'internal_error', `generation failed: ${error.message}`);
  }

  get body() {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}
