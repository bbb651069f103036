"""The table `[links.NAME.security]` of a bench file: how a channel is secured and who we are; it holds no secret."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import either


class SecretSpec(Frozen):
    """Where a password is."""

    model_config = ConfigDict(json_schema_extra=either("file", "env"))

    file: Annotated[str, Field(min_length=1)] | None = None
    """A file that its owner alone may read (mode 0600), beside the bench file or by its whole path; its one line is the password."""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """An environment variable; in another shell `athanor stop` does not have it."""

    @model_validator(mode="after")
    def _check(self) -> "SecretSpec":
        if (self.file is None) == (self.env is None):
            raise ValueError("a password is either in a file or in an environment variable (env)")
        return self

    def with_files(self, change: Callable[[str], str]) -> "SecretSpec":
        """Return it with the file's path changed."""
        return self.evolve(file=None if self.file is None else change(self.file))


def _no_secret(value: Any) -> Any:
    """Refuse a password as such, without repeating it."""
    if isinstance(value, str):
        raise ValueError('a password is never written here; expected { file = "FILE" } or { env = "NAME" }')
    return value


class SecuritySpec(Frozen):
    """How an OPC-UA channel is secured and who we are."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {
                "user": ["password"],
                "password": ["user"],
                "user_certificate": ["user_key"],
                "user_key": ["user_certificate"],
            },
            "not": {"required": ["user", "user_certificate"]},
        }
    )

    policy: Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"]
    """The algorithms; a server that does not offer them is refused, no other ones are taken."""
    mode: Literal["SignAndEncrypt", "Sign"] = "SignAndEncrypt"
    """Whether messages are also enciphered."""
    user: Annotated[str, Field(min_length=1)] | None = None
    """The user's name at the server; without it and without a certificate of the user nobody is named."""
    password: Annotated[SecretSpec | None, BeforeValidator(_no_secret)] = None
    """Where the user's password is."""
    user_certificate: Annotated[str, Field(min_length=1)] | None = None
    """In place of name and password: the file of the user's certificate (PEM or DER)."""
    user_key: Annotated[str, Field(min_length=1)] | None = None
    """The file of its private key (PEM without a password, mode 0600)."""

    @model_validator(mode="after")
    def _check(self) -> "SecuritySpec":
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together: the name, and where the password is")
        if (self.user_certificate is None) != (self.user_key is None):
            raise ValueError("user_certificate and user_key go together")
        if self.user is not None and self.user_certificate is not None:
            raise ValueError("a user has either a name and a password or a certificate and its key")
        return self

    def with_files(self, change: Callable[[str], str]) -> "SecuritySpec":
        """Return it with each path that it names changed."""
        certificate, key = (None if one is None else change(one) for one in (self.user_certificate, self.user_key))
        return self.evolve(password=self.password and self.password.with_files(change), user_certificate=certificate, user_key=key)
