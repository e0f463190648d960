"""What every client of the API does alike."""

import json
from typing import Any
from urllib import parse

from tempest.lib.common import rest_client


class ImageBuildClient(rest_client.RestClient):
    """Answers are ``ResponseBody``: the JSON, with ``.response`` beside it."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        expect: int,
        body: Any = None,
        **query: Any,
    ) -> rest_client.ResponseBody:
        """The answer to a request with a body of JSON or none.

        :raises tempest.lib.exceptions.RestClientException: the service
            refuses, or answers with another status than ``expect``.
        """
        url = f"{path}?{parse.urlencode(query)}" if query else path
        response, said = self.request(
            method, url, body=None if body is None else json.dumps(body)
        )
        self.expected_success(expect, response.status)
        return rest_client.ResponseBody(
            response, json.loads(said) if said else {}
        )
