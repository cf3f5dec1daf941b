"""From an event to the effects of a script: once, all or nothing, and told."""

from tests.integration.alloy.workshop import Workshop


async def test_an_event_runs_a_script_whose_effects_are_committed(workshop: Workshop) -> None:
    """The whole path: event, run, cage, command, and the end of the job."""
    script = await workshop.script("""
        product = await ctx.get("commerce.products", event["aggregate_id"])
        ctx.update("commerce.products", product["id"], tags=["new"])
        ctx.log("tagged", title=product["translations"]["en"]["title"])
        return product["version"]
    """)

    product = await workshop.product()
    await workshop.settle()

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.result, attempt.error) == ("succeeded", 1, None)
    assert attempt.logs == [{"level": "info", "message": "tagged", "fields": {"title": "Kettle"}}]
    assert (await workshop.read_product(product.id)).tags == ["new"]
