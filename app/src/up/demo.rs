//! `up --demo`: a site that misbehaves after half a minute, a receiver that prints the alert, and the story of both.

use logystera_control::{Answer, Request, TENANT_DEFAULT};
use logystera_demo::follow::follow;
use logystera_demo::receiver::Receiver;
use logystera_demo::site;
use logystera_demo::story::Story;
use logystera_schemas::control::ChannelKind;

use crate::cli::CliError;
use crate::up::running::Running;

/// Tells the story until the installation stops.
pub(crate) async fn tell(running: Running) {
    let story = Story::begin();
    if let Err(error) = act(&running, &story).await {
        story.say(&format!("The demo cannot go on: {}", error.message));
        running.shutdown.trigger();
    }
}

async fn act(running: &Running, story: &Story) -> Result<(), CliError> {
    story.say(&format!(
        "Logystera demo: gateway, rules and alerter in this process, data in {}",
        running.data.display()
    ));
    let service = &running.service;
    let receiver = Receiver::bind(story.clone()).await.map_err(CliError::not_available)?;
    let url = format!("http://{}/alerts", receiver.address);
    let site = Request::SiteAdd { name: "Demo shop".to_owned(), tenant: TENANT_DEFAULT.to_owned(), id: None };
    let channel = Request::ChannelAdd {
        kind: ChannelKind::Webhook.to_string(),
        to: vec![url.clone()],
        tenant: TENANT_DEFAULT.to_owned(),
    };
    let (Answer::Key(key), Answer::Channel(channel)) = (service.execute(site).await?, service.execute(channel).await?)
    else {
        return Ok(());
    };
    story.say(&format!(
        "Added the site \"Demo shop\" ({}), which signs its batches with the key {}.",
        key.site, key.key
    ));
    story.say(&format!("Added the webhook {url} ({}): a receiver in this process.", channel.channel));
    receiver.serve(channel.secret.as_deref().unwrap_or_default(), running.shutdown.clone());
    tokio::spawn(site::behave(story.clone(), key, running.listen, running.shutdown.clone()));
    follow(&running.log, story, &epilogue(running), &running.shutdown).await;
    Ok(())
}

/// What to try next.
fn epilogue(running: &Running) -> String {
    let data = running.data.display();
    format!(
        "That is the story: signal, batch, rule, detection, alert. It goes on until Ctrl-C. Try in another terminal:\n\
         \n\
         logystera tail signals --follow --data {data}\n\
         logystera tail detections --from beginning --json --data {data}\n\
         logystera tail attempts --from beginning --data {data}\n\
         logystera replay --verify --data {data}\n\
         logystera site list --data {data}\n\
         curl -s http://{}/metrics | grep ^logystera\n\
         \n\
         Then your own site: logystera up",
        running.admin_listen
    )
}
